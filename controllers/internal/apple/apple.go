// Package apple holds the one session with Apple's device-enrolment service that the leader has for each AutomatedEnrollment.
package apple

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubemdm/kubemdm/internal/ade"
)

// Sessions are the sessions by AutomatedEnrollment. The zero value is empty. It is safe for concurrent use.
type Sessions struct{ all sync.Map }

// Open keeps the session of an AutomatedEnrollment, in the place of the one it had; nil forgets it.
func (s *Sessions) Open(name types.NamespacedName, c *ade.Client) {
	if c == nil {
		s.all.Delete(name)
		return
	}
	s.all.Store(name, c)
}

// Session returns the session of an AutomatedEnrollment, nil while it has none.
func (s *Sessions) Session(name types.NamespacedName) *ade.Client {
	c, ok := s.all.Load(name)
	if !ok {
		return nil
	}
	return c.(*ade.Client)
}
