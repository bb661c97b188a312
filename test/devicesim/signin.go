package devicesim

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"strings"
)

const (
	// webUserAgent is what the web view of Setup Assistant calls itself.
	webUserAgent = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
	// maxPages and maxRedirects are more than any sign-in takes.
	maxPages     = 10
	maxRedirects = 20
)

// signIn opens configuration_web_url in a web view of its own and lets the person fill in the pages until the answer is none.
func (d *Device) signIn(ctx context.Context, s *SetupAssistant, setup *SetupProfile, cms []byte) (*httpReply, error) {
	web, err := d.webView(setup)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, setup.ConfigurationWebURL, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set(headerMachineInfo, base64.StdEncoding.EncodeToString(cms))
	for range maxPages {
		request.Header.Set("User-Agent", webUserAgent)
		page, err := exchange(web, request)
		if err != nil || !page.isForm() {
			return page, err
		}
		if s.SignIn == nil {
			return nil, errors.New("the sign-in shows a page, and nobody is there to fill it in")
		}
		fields, err := s.SignIn(ctx, page.url, page.body)
		if err != nil {
			return nil, fmt.Errorf("signing in: %w", err)
		}
		request, err = http.NewRequestWithContext(ctx, http.MethodPost, page.url.String(), strings.NewReader(fields.Encode()))
		if err != nil {
			return nil, err
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return nil, fmt.Errorf("the sign-in did not end after %d pages", maxPages)
}

// webView is a client with cookies. Only the first request of a sign-in carries machine info: where it leads to does not learn of it.
func (d *Device) webView(setup *SetupProfile) (*http.Client, error) {
	client := d.opts.Client
	if len(setup.anchors) > 0 {
		pool, err := d.trusted(setup.anchors)
		if err != nil {
			return nil, err
		}
		if client, err = trusting(client, pool); err != nil {
			return nil, err
		}
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	web := *client
	web.Jar = jar
	web.CheckRedirect = func(request *http.Request, via []*http.Request) error {
		request.Header.Del(headerMachineInfo)
		switch {
		case len(via) > maxRedirects:
			return errors.New("the sign-in redirects for ever")
		case request.URL.Scheme != "https":
			return errors.New("the sign-in redirects to what is not https")
		}
		return nil
	}
	return &web, nil
}

// isForm says whether the reply is a page for people.
func (r *httpReply) isForm() bool {
	return r.status == http.StatusOK && strings.HasPrefix(r.header.Get("Content-Type"), "text/html")
}
