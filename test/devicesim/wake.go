package devicesim

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Waker brings pushes to devices.
type Waker interface {
	// Wait returns when a push to the token came, with the push magic in it, or empty when the waker does not know that.
	Wait(ctx context.Context, token []byte) (magic string, err error)
}

// Pushes is a Waker within a process: Push is what a push service calls.
type Pushes struct {
	mu      sync.Mutex
	waiting map[string]chan string
}

// NewPushes returns a waker without pushes.
func NewPushes() *Pushes { return &Pushes{waiting: map[string]chan string{}} }

// Push wakes the channel with this token. Like Apple's service it keeps only the last push for a device that is not listening.
func (p *Pushes) Push(token []byte, magic string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	waiting := p.line(token)
	select {
	case <-waiting:
	default:
	}
	waiting <- magic
}

// Wait implements Waker.
func (p *Pushes) Wait(ctx context.Context, token []byte) (string, error) {
	p.mu.Lock()
	waiting := p.line(token)
	p.mu.Unlock()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case magic := <-waiting:
		return magic, nil
	}
}

// line is the token's line, which holds one push. The caller holds mu.
func (p *Pushes) line(token []byte) chan string {
	key := hex.EncodeToString(token)
	if p.waiting[key] == nil {
		p.waiting[key] = make(chan string, 1)
	}
	return p.waiting[key]
}

// controlWait is how long one request to the control endpoint waits.
const controlWait = 30 * time.Second

// Control is a Waker over the control endpoint of test/apnsfake, for devices in another process.
type Control struct {
	client *http.Client
	url    string
}

// NewControl returns a waker that asks the endpoint at this base URL.
func NewControl(baseURL string) (*Control, error) {
	u, err := url.Parse(baseURL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("the push control endpoint %q is not a URL", baseURL)
	}
	return &Control{client: &http.Client{Timeout: 2 * controlWait}, url: u.JoinPath("control", "wait").String()}, nil
}

// Wait implements Waker. The endpoint does not tell the magic.
func (c *Control) Wait(ctx context.Context, token []byte) (string, error) {
	query := url.Values{"token": {hex.EncodeToString(token)}, "timeout": {controlWait.String()}}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"?"+query.Encode(), nil)
		if err != nil {
			return "", fmt.Errorf("waiting for a push: %w", err)
		}
		status, _, _, err := roundTrip(c.client, request)
		switch {
		case err != nil:
			return "", fmt.Errorf("waiting for a push: %w", err)
		case status == http.StatusOK:
			return "", nil
		case status != http.StatusNoContent:
			return "", &StatusError{Endpoint: "push control", Code: status}
		}
	}
}
