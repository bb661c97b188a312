package enroll

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

const (
	// maxForm bounds what a form sends, maxCode a code in it, in bytes.
	maxForm = 8 << 10
	maxCode = 512
	// contentType is that of a configuration profile; Apple's browsers offer to install it.
	contentType = "application/x-apple-aspen-config"
)

// visit is who asks, with the platform that the person chose, if any.
func visit(r *http.Request) visitor {
	v := recognise(r.UserAgent())
	return v.choose(r.URL.Query().Get("platform"))
}

// choose takes a person's word over the browser's.
func (v visitor) choose(platform string) visitor {
	chosen, ok := parsePlatform(platform)
	if !ok {
		return v
	}
	if chosen != v.platform {
		v.name = chosen.name()
	}
	v.platform, v.perhapsIPad, v.notSafari = chosen, false, false
	return v
}

// home serves the server's address.
func (p *Page) home(w http.ResponseWriter, r *http.Request) {
	v := visit(r)
	if err := p.closed(v.platform); err != nil {
		p.refuse(w, r, v, err, fromHome)
		return
	}
	p.render(w, r, http.StatusOK, p.view(v, fromHome))
}

// closed says why no device of the platform can enrol here at all, or nil.
func (p *Page) closed(of platform) error {
	switch {
	case of == platformOther:
		return errOther
	case !p.serves(of):
		return errNotServed
	case of != platformWindows && p.Topic() == "":
		return errNoPush
	}
	return nil
}

// code takes the code that a person entered.
func (p *Page) code(w http.ResponseWriter, r *http.Request) {
	v := recognise(r.UserAgent())
	if err := p.origin.Check(r); err != nil {
		p.refuse(w, r, v, errOrigin, fromForm)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		p.refuse(w, r, v, errForm, fromForm)
		return
	}
	v = v.choose(r.PostForm.Get("platform"))
	given := pass{Platform: v.platform, Code: clean(r.PostForm.Get("code"))}
	if err := p.admit(r, v.platform, given); err != nil {
		p.refuse(w, r, v, err, fromForm)
		return
	}
	p.onwards(w, r, v, given)
}

// clean takes what people paste with a code: blanks, and the link that it is part of.
func clean(code string) string {
	code = strings.TrimSpace(code)
	if _, token, isLink := strings.Cut(code, pathEnroll+"/"); isLink {
		code, _, _ = strings.Cut(token, "?")
	}
	return code
}

// onwards sends the browser to the page of a pass.
func (p *Page) onwards(w http.ResponseWriter, r *http.Request, v visitor, given pass) {
	part, err := p.seal(given)
	if err != nil {
		p.refuse(w, r, v, err, fromForm)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, pathPass+part+"?platform="+string(given.Platform), http.StatusSeeOther)
}

// admit says whether what was given could enrol a device of the platform now. Wrong codes are counted, and from whoever tried too many none is looked at.
func (p *Page) admit(r *http.Request, of platform, given pass) error {
	if err := p.closed(of); err != nil {
		return err
	}
	if given.Code == "" {
		return p.admitAccount(r, of, given.Token)
	}
	if of == platformWindows && p.windowsSignsIn() {
		return nil // Windows will ask for no code
	}
	if p.limit.exceeded(r.RemoteAddr) {
		return errTooMany
	}
	err := fleet.ErrTokenUnknown
	if len(given.Code) <= maxCode {
		err = p.Fleet.CheckToken(r.Context(), hash(given.Code), of.of())
	}
	if errors.Is(err, fleet.ErrTokenUnknown) {
		p.limit.wrong(r.RemoteAddr)
	}
	return err
}

func (p *Page) admitAccount(r *http.Request, of platform, token adminapi.Key) error {
	if token == "" {
		return errNoCode
	}
	if of == platformWindows {
		return errNotHere
	}
	err := p.Fleet.CheckSignIn(r.Context(), token, of.of())
	if errors.Is(err, fleet.ErrTokenUnusable) {
		return errSignInClosed
	}
	return err
}

func hash(code string) string {
	sum := sha256.Sum256([]byte(code))
	return hex.EncodeToString(sum[:])
}

// browser says whether a person is to see the answer. Tools ask for anything; a browser that fetches something for a page says what it is for.
func browser(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html") && slices.Contains([]string{"", "document"}, r.Header.Get("Sec-Fetch-Dest"))
}

// link serves an enrolment link: steps to people, the profile to tools.
func (p *Page) link(w http.ResponseWriter, r *http.Request) {
	if !browser(r) && p.Tools != nil {
		p.tool(w, r)
		return
	}
	v := visit(r)
	given := pass{Platform: v.platform, Code: r.PathValue("token")}
	p.given(w, r, v, given, pathEnroll+"/"+url.PathEscape(given.Code), fromLink)
}

// passed serves the page of a pass.
func (p *Page) passed(w http.ResponseWriter, r *http.Request) {
	v := visit(r)
	given, err := p.open(r.PathValue("pass"))
	if err != nil {
		p.refuse(w, r, v, err, fromPass)
		return
	}
	if v.platform == platformOther {
		v = v.choose(string(given.Platform))
	}
	p.given(w, r, v, given, pathPass+r.PathValue("pass"), fromPass)
}

// given shows how to go on with what is given, or hands out the profile if the person asked for it.
func (p *Page) given(w http.ResponseWriter, r *http.Request, v visitor, given pass, address string, from source) {
	if err := p.admit(r, v.platform, given); err != nil {
		p.refuse(w, r, v, err, from)
		return
	}
	// HEAD comes from previews of links, which must not mint challenges.
	if v.platform != platformWindows && r.Method == http.MethodGet && r.URL.Query().Get("download") == "1" {
		p.download(w, r, v, given, from)
		return
	}
	page := p.view(v, from)
	page.ready(p, v, given, address)
	p.render(w, r, http.StatusOK, page)
}

func (p *Page) download(w http.ResponseWriter, r *http.Request, v visitor, given pass, from source) {
	var profile []byte
	var err error
	if given.Code != "" {
		profile, err = p.Apple.ByToken(r.Context(), hash(given.Code))
	} else {
		profile, err = p.Apple.ByAccount(r.Context(), given.Token, given.Account)
	}
	if err != nil {
		p.refuse(w, r, v, err, from)
		return
	}
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", contentType)
	header.Set("X-Content-Type-Options", "nosniff")
	// A browser would name the download after the last part of the path.
	header.Set("Content-Disposition", `attachment; filename="enroll.mobileconfig"`)
	w.Write(profile) //nolint:errcheck // who went away asks again
}

// tool answers what is no browser, and counts wrong tokens as those of people.
func (p *Page) tool(w http.ResponseWriter, r *http.Request) {
	if p.limit.exceeded(r.RemoteAddr) {
		refusal := p.refusal(errTooMany, fromLink)
		w.Header().Set("Retry-After", retryAfter)
		http.Error(w, refusal.text, refusal.status)
		return
	}
	answer := &statusWriter{ResponseWriter: w}
	p.Tools.ServeHTTP(answer, r)
	if answer.status == http.StatusNotFound {
		p.limit.wrong(r.RemoteAddr)
	}
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// begin sends a person to the issuer. Who could not enrol anyway hears so before anybody types a password.
func (p *Page) begin(w http.ResponseWriter, r *http.Request) {
	v := visit(r)
	token := adminapi.Key(p.Config.Page.SignInToken)
	err := p.admit(r, v.platform, pass{Token: token})
	if err == nil {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		err = p.flow.Begin(w, r, string(v.platform), "")
	}
	if err != nil {
		p.refuse(w, r, v, err, fromSignIn)
	}
}

// finish takes the issuer's answer.
func (p *Page) finish(w http.ResponseWriter, r *http.Request) {
	v := visit(r)
	account, err := p.flow.Finish(w, r)
	if err != nil {
		p.refuse(w, r, v, err, fromSignIn)
		return
	}
	v = v.choose(account.Carried)
	w.Header().Set("Referrer-Policy", "no-referrer") // the address holds a code
	p.onwards(w, r, v, pass{Platform: v.platform, Token: adminapi.Key(p.Config.Page.SignInToken), Account: account.Address})
}
