package awsfake

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Audience is what a web identity token must be for.
const Audience = "sts.amazonaws.com"

// sessionLife is how long credentials are good for.
const sessionLife = time.Hour

// claims are those of a web identity token. Kubernetes writes the audience as a list.
type claims struct {
	Subject  string          `json:"sub"`
	Audience json.RawMessage `json:"aud"`
	Expires  int64           `json:"exp"`
}

func (c *claims) audiences() []string {
	var one string
	if json.Unmarshal(c.Audience, &one) == nil {
		return []string{one}
	}
	var many []string
	_ = json.Unmarshal(c.Audience, &many) // none is refused
	return many
}

func (f *Fake) serveSTS(w http.ResponseWriter, r *http.Request) {
	action := r.PostFormValue("Action")
	f.count(action)
	if action != "AssumeRoleWithWebIdentity" || r.PostFormValue("Version") != "2011-06-15" {
		stsRefuse(w, "InvalidAction", "no such action")
		return
	}
	role := r.PostFormValue("RoleArn")
	if !strings.HasPrefix(role, "arn:aws:iam::") || r.PostFormValue("RoleSessionName") == "" {
		stsRefuse(w, "ValidationError", "RoleArn or RoleSessionName is wrong")
		return
	}
	token, err := readToken(r.PostFormValue("WebIdentityToken"))
	if err != nil {
		stsRefuse(w, "InvalidIdentityToken", err.Error())
		return
	}
	f.mu.Lock()
	n := len(f.sessions)
	accessKey, session := fmt.Sprintf("ASIAFAKE%012d", n), fmt.Sprintf("session-%d", n)
	f.sessions[accessKey] = session
	f.subjects = append(f.subjects, token.Subject)
	f.mu.Unlock()

	type credentials struct {
		AccessKeyId, SecretAccessKey, SessionToken, Expiration string
	}
	type result struct {
		Credentials                 credentials
		SubjectFromWebIdentityToken string
		Audience                    string
	}
	w.Header().Set("Content-Type", "text/xml")
	_ = xml.NewEncoder(w).Encode(struct { // the client may be gone
		XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleWithWebIdentityResponse"`
		Result  result   `xml:"AssumeRoleWithWebIdentityResult"`
	}{Result: result{
		Credentials: credentials{accessKey, SecretKey, session, time.Now().Add(sessionLife).UTC().Format(time.RFC3339)},
		Audience:    Audience, SubjectFromWebIdentityToken: token.Subject,
	}})
}

// readToken reads the claims of a JWT and refuses those that AWS would not take.
func readToken(jwt string) (*claims, error) {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("the token is not a JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, fmt.Errorf("the token is not a JWT")
	}
	c := &claims{}
	switch err := json.Unmarshal(payload, c); {
	case err != nil:
		return nil, fmt.Errorf("the claims of the token are not JSON")
	case !slices.Contains(c.audiences(), Audience):
		return nil, fmt.Errorf("Incorrect token audience") //nolint:staticcheck // AWS's words
	case time.Now().Unix() >= c.Expires:
		return nil, fmt.Errorf("the token has expired")
	}
	return c, nil
}

func stsRefuse(w http.ResponseWriter, code, message string) {
	type fault struct {
		Type, Code, Message string
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(http.StatusBadRequest)
	_ = xml.NewEncoder(w).Encode(struct { // the client may be gone
		XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
		Error   fault
	}{Error: fault{"Sender", code, message}})
}
