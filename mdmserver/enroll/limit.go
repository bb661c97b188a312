package enroll

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// Bounds of guessing. A token has more than 100 bits, so this is for codes that people chose.
const (
	// wrongBurst wrong codes may come from one network at once, and then one more each wrongEvery.
	wrongBurst = 20
	wrongEvery = 3 * time.Second
	// maxNetworks bounds the memory. When there are more, those that tried least are forgotten.
	maxNetworks = 4096
)

// limit counts wrong codes by the network that they come from.
type limit struct {
	now func() time.Time

	mu sync.Mutex
	// until says when a network has no wrong code left on its account: each one adds wrongEvery.
	until map[netip.Prefix]time.Time
}

func newLimit(now func() time.Time) *limit {
	return &limit{now: now, until: map[netip.Prefix]time.Time{}}
}

// exceeded says whether a network has tried too often to be heard now.
func (l *limit) exceeded(remote string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until[network(remote)].Sub(l.now()) > (wrongBurst-1)*wrongEvery
}

// wrong counts a wrong code.
func (l *limit) wrong(remote string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, from := l.now(), network(remote)
	if _, known := l.until[from]; !known && len(l.until) >= maxNetworks {
		l.forget(now)
	}
	last := l.until[from]
	if last.Before(now) {
		last = now
	}
	l.until[from] = last.Add(wrongEvery)
}

// forget makes room: the networks with no more than the average on their account go, which is at least one.
func (l *limit) forget(now time.Time) {
	var sum time.Duration
	for _, until := range l.until {
		sum += until.Sub(now)
	}
	average := now.Add(sum / time.Duration(len(l.until)))
	for from, until := range l.until {
		if !until.After(average) {
			delete(l.until, from)
		}
	}
}

// network is an IPv4 address, or the network of 64 bits that one IPv6 client has. What is no address is one network.
func network(remote string) netip.Prefix {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	address = address.Unmap()
	bits := 64
	if address.Is4() {
		bits = 32
	}
	prefix, err := address.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
