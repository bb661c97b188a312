package pace_test

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kubemdm/kubemdm/controllers/internal/pace"
)

var object = types.NamespacedName{Namespace: "fleet", Name: "wifi"}

// writes asks every tenth of a second for a while and returns at which seconds a write was due.
func writes(p *pace.Pace, clock *clocktesting.FakePassiveClock, during time.Duration) []int {
	start := clock.Now()
	var at []int
	for ; clock.Since(start) < during; clock.SetTime(clock.Now().Add(100 * time.Millisecond)) {
		if p.Due(object) == 0 {
			at = append(at, int(clock.Since(start)/time.Second))
		}
	}
	return at
}

func TestGapsGrowWithTheRollout(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Unix(1700000000, 0))
	p := pace.New(clock)
	got := writes(p, clock, 8*time.Hour)
	if want := []int{0, 1, 5, 21, 81, 141, 201, 261, 326, 407}; !slices.Equal(got[:len(want)], want) {
		t.Errorf("writes at %v s, want them to begin at %v", got, want)
	}
	hour := 0
	for _, at := range got {
		if at < 3600 {
			hour++
		}
	}
	if hour != 19 {
		t.Errorf("%d writes in the first hour: %v", hour, got)
	}
	if last := got[len(got)-1] - got[len(got)-2]; last != 15*60 {
		t.Errorf("the last gap is %d s", last)
	}
}

func TestDueSaysHowLongToWait(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Unix(1700000000, 0))
	p := pace.New(clock)
	p.Due(object)
	clock.SetTime(clock.Now().Add(300 * time.Millisecond))
	if got := p.Due(object); got != 700*time.Millisecond {
		t.Errorf("wait %v, want 700ms", got)
	}
	if got := p.Due(types.NamespacedName{Name: "another"}); got != 0 {
		t.Errorf("another object waits %v", got)
	}
}

func TestAnotherRolloutStartsWithShortGaps(t *testing.T) {
	for name, begin := range map[string]func(*pace.Pace, *clocktesting.FakePassiveClock){
		"restarted":    func(p *pace.Pace, _ *clocktesting.FakePassiveClock) { p.Restart(object) },
		"after a rest": func(_ *pace.Pace, c *clocktesting.FakePassiveClock) { c.SetTime(c.Now().Add(2 * time.Minute)) },
	} {
		t.Run(name, func(t *testing.T) {
			clock := clocktesting.NewFakePassiveClock(time.Unix(1700000000, 0))
			p := pace.New(clock)
			writes(p, clock, 20*time.Second)
			begin(p, clock)
			if got, want := writes(p, clock, 8*time.Second), []int{0, 1, 5}; !slices.Equal(got, want) {
				t.Errorf("writes at %v s, want %v", got, want)
			}
		})
	}
}
