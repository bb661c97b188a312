package replicas

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

type carrier func(*http.Request) (*http.Response, error)

func (c carrier) RoundTrip(r *http.Request) (*http.Response, error) { return c(r) }

// What the system test concludes is as good as what it counts.
func TestRequestsAreCounted(t *testing.T) {
	const (
		gone = -1
		slow = -2 // gone after 6 s
	)
	for name, test := range map[string]struct {
		answers []int
		want    tally
	}{
		"good":                 {[]int{200}, tally{requests: 1}},
		"the second try":       {[]int{gone, 200}, tally{requests: 1, retried: 1, outage: 500 * time.Millisecond, refusals: map[string]int{"EOF on no connection": 1}}},
		"the third try":        {[]int{503, 503, 200}, tally{requests: 1, retried: 1, outage: 2500 * time.Millisecond, refusals: map[string]int{"Service Unavailable": 2}}},
		"no fourth try":        {[]int{503, 503, 503, 200}, tally{requests: 1, failed: 1, refusals: map[string]int{"Service Unavailable": 3}}},
		"nothing after 5 s":    {[]int{slow, 200}, tally{requests: 1, failed: 1, refusals: map[string]int{"EOF on no connection": 1}}},
		"a refusal is final":   {[]int{403, 200}, tally{requests: 1, failed: 1, impatient: 1, refusals: map[string]int{"Forbidden": 1}}},
		"a server that is ill": {[]int{500, 200}, tally{requests: 1, retried: 1, impatient: 1, outage: 500 * time.Millisecond, refusals: map[string]int{"Internal Server Error": 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				traffic := &traffic{}
				traffic.reset()
				next := carrier(func(r *http.Request) (*http.Response, error) {
					if body, err := io.ReadAll(r.Body); err != nil || string(body) != "message" {
						t.Errorf("the body is %q, %v", body, err)
					}
					status := test.answers[0]
					test.answers = test.answers[1:]
					switch status {
					case slow:
						<-time.After(6 * time.Second)
						fallthrough
					case gone:
						return nil, fmt.Errorf("reading from 192.0.2.1: %w", io.EOF)
					}
					header := http.Header{}
					if status == http.StatusServiceUnavailable {
						header.Set("Retry-After", "60")
					}
					return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader("answer"))}, nil
				})
				ctx := context.WithValue(t.Context(), laneKey{}, &lane{})
				request, err := http.NewRequestWithContext(ctx, http.MethodPut, "https://mdm.example.com", strings.NewReader("message"))
				if err != nil {
					t.Fatal(err)
				}
				if response, err := traffic.carry(request, next); err == nil {
					response.Body.Close()
				}
				got := traffic.counted()
				if len(got.refusals) == 0 {
					got.refusals = nil
				}
				if !reflect.DeepEqual(got, test.want) {
					t.Errorf("counted %+v, want %+v", got, test.want)
				}
			})
		})
	}
}
