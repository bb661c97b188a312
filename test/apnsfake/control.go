package apnsfake

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"
)

// maxWait bounds one wait at the control endpoint.
const maxWait = time.Minute

// Control is where simulated devices in other processes wait for their pushes: GET /control/wait?token=HEX&timeout=30s answers 200 when a push
// to the token came since the last answer, 204 when none came in time. GET /control/accepted is a JSON object of how many pushes were accepted, by token.
func (f *Fake) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /control/wait", func(w http.ResponseWriter, r *http.Request) {
		token, err := hex.DecodeString(r.URL.Query().Get("token"))
		if err != nil || len(token) == 0 {
			http.Error(w, "token must be hexadecimal", http.StatusBadRequest)
			return
		}
		timeout, err := time.ParseDuration(r.URL.Query().Get("timeout"))
		if err != nil || timeout <= 0 {
			http.Error(w, "timeout must be a duration such as 30s", http.StatusBadRequest)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), min(timeout, maxWait))
		defer cancel()
		if f.Wait(ctx, token) != nil {
			w.WriteHeader(http.StatusNoContent)
		}
	})
	mux.HandleFunc("GET /control/accepted", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(f.allAccepted()) // the client may be gone
	})
	return mux
}

// allAccepted counts the accepted pushes by token in hexadecimal.
func (f *Fake) allAccepted() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	accepted := map[string]int{}
	for token, d := range f.devices {
		accepted[token] = d.accepted
	}
	return accepted
}
