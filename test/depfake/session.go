package depfake

import (
	crand "crypto/rand"
	"net/http"
	"time"

	"github.com/kubemdm/kubemdm/test/depfake/oauth1"
)

// session is what a session token stands for.
type session struct {
	until  time.Time
	server *server
}

// authenticate answers GET /session.
func (f *Fake) authenticate(r *http.Request) *reply {
	key, problem := f.oauth.Verify(r)
	if problem != nil {
		// Apple's documentation has the statuses, not the bodies; the header says what was wrong to those who read logs.
		answer := failure(problem.Status, "UNAUTHORIZED")
		if problem.Status == http.StatusBadRequest {
			answer.code = "BAD_REQUEST"
		}
		answer.header = http.Header{"Www-Authenticate": {`OAuth realm="ADM", oauth_problem="` + problem.Name + `"`}}
		return answer
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.terms {
		return failure(http.StatusForbidden, "T_C_NOT_SIGNED")
	}
	return f.scripted("GET /session", func() *reply {
		return ok(map[string]string{"auth_session_token": f.begin(f.servers[key])})
	})
}

// credentials finds the secrets of a token.
func (f *Fake) credentials(key, token string) (oauth1.Credentials, *oauth1.Problem) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.servers[key]
	refuse := func(name string) (oauth1.Credentials, *oauth1.Problem) {
		return oauth1.Credentials{}, &oauth1.Problem{Status: http.StatusUnauthorized, Name: name}
	}
	switch {
	case s == nil:
		return refuse("consumer_key_unknown")
	case s.revoked || s.token.AccessToken != token:
		return refuse("token_rejected")
	case !f.options.Now().Before(s.token.Expiry):
		return refuse("token_expired")
	}
	return oauth1.Credentials{ConsumerSecret: s.token.ConsumerSecret, TokenSecret: s.token.AccessSecret}, nil
}

// admit refuses requests without a session; the lock must be held.
func (f *Fake) admit(token string) *reply {
	s, lives := f.sessions[token]
	switch {
	case !lives && token != "" && !f.ended[token]:
		return failure(http.StatusForbidden, "FORBIDDEN")
	case !lives || !f.options.Now().Before(s.until):
		return failure(http.StatusUnauthorized, "UNAUTHORIZED")
	case f.terms:
		return failure(http.StatusForbidden, "T_C_NOT_SIGNED")
	}
	return nil
}

// begin makes a session; the lock must be held.
func (f *Fake) begin(s *server) string {
	token := crand.Text() + crand.Text()
	f.sessions[token] = session{until: f.options.Now().Add(SessionLife), server: s}
	return token
}

// end ends a session; the lock must be held.
func (f *Fake) end(token string) {
	delete(f.sessions, token)
	f.ended[token] = true
}

// EndSessions makes clients ask for new sessions: the ones they have are answered 401 UNAUTHORIZED, or, if they are to be forgotten as after a
// restart of Apple's simulator, 403 FORBIDDEN.
func (f *Fake) EndSessions(forgotten bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for token := range f.sessions {
		f.end(token)
	}
	if forgotten {
		clear(f.ended)
	}
}

// endOf ends the sessions of a server; the lock must be held.
func (f *Fake) endOf(server *server) {
	for token, s := range f.sessions {
		if s.server == server {
			f.end(token)
		}
	}
}
