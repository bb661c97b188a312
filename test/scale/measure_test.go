package scale_test

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kubemdm/kubemdm/test/apiwrites"
)

const (
	// still is for how long nothing must have been written until the operator counts as at rest.
	still = 5 * time.Second
	// recount is longer than the manager waits until it counts the devices of a server again.
	recount = 65 * time.Second
)

// measurement is one step.
type measurement struct {
	w       *world
	manager *process // of the begin; a step may start another one
	begun   time.Time
	cpu     time.Duration
	before  apiwrites.Writes
	seconds float64
	// own are the writes of this test.
	own int
}

func (w *world) begin() *measurement {
	m := &measurement{w: w, manager: w.manager, begun: time.Now(), before: w.written()}
	if w.manager.cmd.ProcessState == nil {
		m.cpu = w.manager.usage().cpu
	}
	return m
}

// took ends the time of the step; what follows from it may still be written.
func (m *measurement) took() { m.seconds = time.Since(m.begun).Seconds() }

// report prints the step once nothing is written any more, and returns what was.
func (m *measurement) report(step string) apiwrites.Writes {
	writes := m.w.quiet(still).Since(m.before)
	events := writes.Touching(apiwrites.Events).Total()
	used := m.w.manager.usage()
	if m.manager == m.w.manager {
		used.cpu -= m.cpu
	}
	say(step, m.w.n, "seconds=%.1f writes=%d events=%d manager_rss_mb=%.0f manager_peak_mb=%.0f manager_cpu_s=%.1f etcd_mb=%d detail=%q",
		m.seconds, writes.Total()-events-m.own, events, used.rss, used.peak, used.cpu.Seconds(), m.w.etcdSize()/megabyte, writes)
	return writes
}

func (w *world) written() apiwrites.Writes {
	writes, err := apiwrites.Read(w.Context(), w.config)
	w.must(err)
	return writes
}

// quiet waits until nothing is written any more.
func (w *world) quiet(still time.Duration) apiwrites.Writes {
	last, since := w.written(), time.Now()
	w.eventually("nothing is written any more", func() bool {
		if now := w.written(); now.Total() != last.Total() {
			last, since = now, time.Now()
		}
		return time.Since(since) > still
	})
	return last
}

// scrape adds up the manager's metrics that begin with a prefix; -1: it does not answer yet.
func (w *world) scrape(prefix string) int {
	res, err := w.fetch("http://" + w.metrics + "/metrics")
	if err != nil {
		return -1
	}
	return int(sum(w, res, prefix))
}

// fetch gets a page of one of the programs.
func (w *world) fetch(url string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(w.Context(), http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return w.pages.Do(request)
}

// sum adds up the metrics of an answer that begin with a prefix.
func sum(w *world, res *http.Response, prefix string) float64 {
	defer res.Body.Close()
	total := 0.0
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, prefix) {
			n, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			w.must(err)
			total += n
		}
	}
	return total
}

// etcdSize is what etcd holds, in bytes, history that was not compacted yet included.
func (w *world) etcdSize() int {
	res, err := w.fetch(w.etcd + "/metrics")
	w.must(err)
	return int(sum(w, res, "etcd_mvcc_db_total_size_in_bytes "))
}
