package depfake

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
)

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *reply) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (&http.MaxBytesError{}); errors.As(err, &tooLarge) {
		return nil, failure(http.StatusRequestEntityTooLarge, "MALFORMED_REQUEST_BODY")
	}
	if err != nil {
		return nil, bad("MALFORMED_REQUEST_BODY")
	}
	return body, nil
}

// decode wants exactly one JSON value with no unknown fields.
func decode(body []byte, into any) *reply {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return bad("MALFORMED_REQUEST_BODY")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return bad("MALFORMED_REQUEST_BODY")
	}
	return nil
}

// write answers with the service's clock: clients tell from it when theirs is wrong.
func (f *Fake) write(w http.ResponseWriter, r *http.Request, name string, a *reply) {
	body, media, err := encode(a)
	if err != nil {
		body, a.status = []byte(err.Error()), http.StatusInternalServerError
	}
	outcome := name + " " + strconv.Itoa(a.status)
	if a.code != "" {
		outcome += " " + a.code
	}
	if a.reset {
		outcome = name + " reset"
	}
	f.mu.Lock()
	f.answers[outcome]++
	f.mu.Unlock()
	if a.reset {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", media)
	for field, values := range a.header {
		w.Header()[http.CanonicalHeaderKey(field)] = values
	}
	w.Header().Set("Date", f.options.Now().UTC().Format(http.TimeFormat))
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client may be gone
	}
}

func encode(a *reply) (body []byte, media string, err error) {
	switch {
	case a.raw != nil:
		return a.raw, "text/html", nil
	case a.code != "":
		body, err = json.Marshal(a.code)
		return body, "text/plain;charset=UTF8", err
	case a.body == nil:
		return nil, "application/json;charset=UTF8", nil
	}
	body, err = json.Marshal(a.body)
	return body, "application/json;charset=UTF8", err
}
