package depfake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxControl bounds a request to the control endpoint in bytes: tens of thousands of devices.
const maxControl = 32 << 20

// Usage says what Control answers.
const Usage = `  GET    /activation/SERIAL  what a device is given that starts its setup: the profile in JSON; 204 without one, 404 if not listed
  POST   /upload             the public key's certificate in PEM -> the token file (.p7m)
  POST   /renew              another download of the token; ?server=another: that of another server
  POST   /revoke             ends the token
  GET    /devices            the truth, by serial number
  POST   /devices            [{"serial_number": ..., "model": ...}, ...]   adds, with Apple's field names
  PATCH  /devices            the same: changes the fields that are there
  DELETE /devices            ["SERIAL", ...]   takes away
  POST   /devices/repeat     ["SERIAL", ...]   tells of their events again, out of order
  PUT    /outcomes           {"SERIAL": "FAILED", ...}   or THROTTLED, or "" for none
  GET    /profiles           the profiles that were defined, by UUID
  DELETE /profiles/UUID      forgets one
  GET    /calls              {"assignments": [...], "removals": [...], "disowned": [...]}
  GET    /requests           counts by method and path
  GET    /answers            counts by method, path, status and error code
  DELETE /requests           sets both counts to nothing
  PUT    /terms              {"pending": true}
  PUT    /throttle           {"requests": 3, "seconds": 60}   429 for the next ones
  POST   /faults             {"endpoint": "POST /profile", "faults": [{"status": 503, "code": "...", "body": "...", "header": {}, "reset": false,
                             "done": false}]}   for the next ones, one each
  POST   /cursors/WHAT       expire, exhaust or forget all cursors
  POST   /sessions/WHAT      end (401) or forget (403) all sessions
`

// Control is for those who are not the client: tests in other processes, and simulated devices. Usage describes it.
func (f *Fake) Control() http.Handler {
	mux := http.NewServeMux()
	get := func(path string, read func() any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { sendJSON(w, read()) })
	}
	get("/devices", func() any { return f.Devices() })
	get("/profiles", func() any { return f.Profiles() })
	get("/requests", func() any { return f.Requests() })
	get("/answers", func() any { return f.Answers() })
	get("/calls", func() any {
		return map[string][]Call{"assignments": f.Assignments(), "removals": f.Removals(), "disowned": f.Disowned()}
	})
	mux.HandleFunc("GET /activation/{serial}", f.activation)
	f.controlToken(mux)
	f.controlDevices(mux)
	f.controlFaults(mux)
	return mux
}

func (f *Fake) activation(w http.ResponseWriter, r *http.Request) {
	profile, err := f.Activate(r.PathValue("serial"))
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusNotFound)
	case profile == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		sendJSON(w, profile)
	}
}

func (f *Fake) controlToken(mux *http.ServeMux) {
	send := func(w http.ResponseWriter, p7m []byte, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/pkcs7-mime")
		_, _ = w.Write(p7m) // the client may be gone
	}
	mux.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		cert, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			send(w, nil, err)
			return
		}
		p7m, err := f.Upload(cert)
		send(w, p7m, err)
	})
	mux.HandleFunc("POST /renew", func(w http.ResponseWriter, r *http.Request) {
		renew := f.Renew
		if r.URL.Query().Get("server") == "another" {
			renew = f.RenewAsAnotherServer
		}
		p7m, err := renew()
		send(w, p7m, err)
	})
	mux.HandleFunc("POST /revoke", func(http.ResponseWriter, *http.Request) { f.Revoke() })
}

func (f *Fake) controlDevices(mux *http.ServeMux) {
	take(mux, "POST /devices", func(devices []Device) error {
		for _, d := range devices {
			if d.SerialNumber == "" {
				return errors.New("serial_number is missing")
			}
		}
		f.Add(devices...)
		return nil
	})
	take(mux, "PATCH /devices", func(patches []json.RawMessage) error {
		for _, patch := range patches {
			d := Device{}
			if err := json.Unmarshal(patch, &d); err != nil {
				return err
			}
			var problem error
			if err := f.Modify(d.SerialNumber, func(d *Device) { problem = json.Unmarshal(patch, d) }); err != nil || problem != nil {
				return errors.Join(err, problem)
			}
		}
		return nil
	})
	take(mux, "DELETE /devices", func(serials []string) error { return f.Delete(serials...) })
	take(mux, "POST /devices/repeat", func(serials []string) error {
		for _, serial := range serials {
			f.Repeat(serial)
		}
		return nil
	})
	take(mux, "PUT /outcomes", func(outcomes map[string]string) error {
		for serial, outcome := range outcomes {
			if outcome != "" && outcome != Failed && outcome != Throttled {
				return fmt.Errorf("%q is not %s, %s or nothing", outcome, Failed, Throttled)
			}
			f.SetOutcome(serial, outcome)
		}
		return nil
	})
	mux.HandleFunc("DELETE /profiles/{uuid}", func(_ http.ResponseWriter, r *http.Request) { f.ForgetProfile(r.PathValue("uuid")) })
}

func (f *Fake) controlFaults(mux *http.ServeMux) {
	mux.HandleFunc("DELETE /requests", func(http.ResponseWriter, *http.Request) { f.ResetCounters() })
	take(mux, "PUT /terms", func(body struct{ Pending bool }) error {
		f.SetTerms(body.Pending)
		return nil
	})
	take(mux, "PUT /throttle", func(body struct{ Requests, Seconds int }) error {
		f.Throttle(body.Requests, time.Duration(body.Seconds)*time.Second)
		return nil
	})
	take(mux, "POST /faults", func(body struct {
		Endpoint string
		Faults   []Fault
	}) error {
		if _, known := endpoints[body.Endpoint]; !known && body.Endpoint != "GET /session" {
			return fmt.Errorf("there is no endpoint %q", body.Endpoint)
		}
		f.Fail(body.Endpoint, body.Faults...)
		return nil
	})
	for path, act := range map[string]func(){
		"/cursors/expire": f.ExpireCursors, "/cursors/exhaust": f.ExhaustCursors, "/cursors/forget": f.ForgetCursors,
		"/sessions/end": func() { f.EndSessions(false) }, "/sessions/forget": func() { f.EndSessions(true) },
	} {
		mux.HandleFunc("POST "+path, func(http.ResponseWriter, *http.Request) { act() })
	}
}

// take answers requests whose body is a T in JSON.
func take[T any](mux *http.ServeMux, pattern string, act func(T) error) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		var body T
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxControl))
		decoder.DisallowUnknownFields()
		err := decoder.Decode(&body)
		if err == nil {
			err = act(body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
}

func sendJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}
