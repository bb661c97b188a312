package automatedenrollment

import (
	"errors"
	"maps"
	"time"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/internal/ade"
)

// account is what the manager remembers of one AutomatedEnrollment between two passes. All of it can be asked for again, so a manager that starts
// begins with a zero one.
type account struct {
	opened opened
	// client speaks with the token and the service of its way.
	client *ade.Client
	way    way
	known  bool // the organisation was asked for

	// list is what Apple lists, by serial number, complete unless full is zero; cursor is where the next sync goes on.
	list   map[string]*listed
	cursor string
	// gone is when devices left by an event, since the whole list was read: an older event of one may come again.
	gone   map[string]time.Time
	full   time.Time
	synced time.Time
	// request is the annotation requested-at that the last sync was asked for by.
	request string

	// outage is why Apple is not asked before resume, nil while it answers.
	outage   *outage
	resume   time.Time
	failures int
	// generation is that of the spec at the outage: what Apple refused may have been corrected since.
	generation int64

	// marked is when Devices were marked that left, by name: the cache may not have it yet.
	marked map[string]time.Time

	// session and digest are what was published last, and to which session of the server.
	session *link.Server
	digest  string
	// profiles are those at Apple that devices have and that are not, or not any more, in the status.
	profiles map[string]ade.Profile
}

// way is how Apple is reached.
type way struct {
	token ade.Token
	url   string
	roots string // digest of the CA, "": the public ones
}

// listed is a device that Apple lists.
type listed struct {
	ade.Device
	// applied is when its Device was written last: the cache may not have it yet.
	applied time.Time
	// invalid is why the API server did not take the Device then.
	invalid string
	// refused is why Apple does not assign to it; it is tried again after the next full list.
	refused ade.Result
	// retry is when an assignment that failed is tried again.
	retry time.Time
}

// outage is why Apple cannot be asked: a reason and a message for a condition, and how long to wait before it is asked again.
type outage struct {
	reason, message string
	after           time.Duration
}

// The pauses before Apple is asked again: what a person must do is looked for rarely, what passes by itself more often.
const (
	afterTerms   = 10 * time.Minute
	afterRevoked = 30 * time.Minute
	afterClock   = 5 * time.Minute
	afterRefused = 15 * time.Minute
	afterWait    = 5 * time.Second
	longestWait  = 15 * time.Minute
)

// outageOf tells a failure of Apple's service, nil if it is another error, such as the API server's. failures counts those that came before.
func outageOf(err error, failures int) *outage {
	var f *ade.Failure
	if !errors.As(err, &f) {
		return nil
	}
	backoff := min(afterWait<<min(failures, 10), longestWait)
	switch f.Kind {
	case ade.Terms:
		return &outage{mdmv1alpha1.AutomatedEnrollmentTermsNotAccepted, f.Message, afterTerms}
	case ade.Revoked:
		return &outage{mdmv1alpha1.AutomatedEnrollmentTokenRevoked, f.Message, afterRevoked}
	case ade.ClockSkewed:
		return &outage{mdmv1alpha1.AutomatedEnrollmentClockSkewed, f.Message, afterClock}
	case ade.Throttled:
		return &outage{mdmv1alpha1.AutomatedEnrollmentThrottled, f.Message, max(f.RetryAfter, backoff)}
	case ade.Unavailable:
		return &outage{mdmv1alpha1.AutomatedEnrollmentServiceUnavailable, f.Message, max(f.RetryAfter, backoff)}
	}
	return &outage{mdmv1alpha1.AutomatedEnrollmentServiceRefused, f.Message, afterRefused}
}

// failed notes that Apple did not answer as it should, or returns the error if it is none of Apple's.
func (s *scope) failed(err error, now time.Time) error {
	o := outageOf(err, s.account.failures)
	if o == nil {
		return err
	}
	s.cut = o
	s.account.outage, s.account.resume, s.account.generation = o, now.Add(o.after), s.object.Generation
	s.account.failures++
	return nil
}

// answered notes that Apple answers.
func (s *scope) answered() { s.account.outage, s.account.failures = nil, 0 }

// recent returns the marks that the cache may not have yet, to which others are added.
func (a *account) recent(now time.Time) map[string]time.Time {
	if a.marked == nil {
		a.marked = map[string]time.Time{}
	}
	maps.DeleteFunc(a.marked, func(_ string, at time.Time) bool { return now.Sub(at) >= cacheLag })
	return a.marked
}

// forget drops the list, so that all of it is asked for again.
func (a *account) forget() { a.list, a.cursor, a.full = nil, "", time.Time{} }
