package apns

import (
	"fmt"
	"io"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// width is where text is wrapped, in characters.
const width = 100

// printer writes text for people. The first error of the writer stays in err, and nothing is written after it.
type printer struct {
	w      io.Writer
	now    time.Time
	colour bool
	err    error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// text writes what came from the cluster, wrapped and indented. It can hold nothing that a terminal obeys.
func (p *printer) text(indent, text string) {
	line := ""
	for _, word := range strings.Fields(printers.EscapeTerminal(text)) {
		switch {
		case line == "":
			line = word
		case len(indent)+len(line)+1+len(word) > width:
			p.line("%s%s", indent, line)
			line = word
		default:
			line += " " + word
		}
	}
	if line != "" {
		p.line("%s%s", indent, line)
	}
}

// marks of the states, each with its colour.
var marks = map[state]struct{ sign, colour string }{
	done:    {"✓", "\x1b[32m"},
	waiting: {"…", "\x1b[33m"},
	failed:  {"✗", "\x1b[31m"},
}

func (p *printer) mark(s state) string {
	m := marks[s]
	if !p.colour {
		return m.sign
	}
	return m.colour + m.sign + "\x1b[0m"
}

// since tells a time and how long ago it was.
func (p *printer) since(t time.Time) string {
	return fmt.Sprintf("%s (%s ago)", date(t), duration.HumanDuration(p.now.Sub(t)))
}

func (p *printer) fact(name, value string) {
	if value != "" {
		p.line("  %-14s %s", name, printers.EscapeTerminal(value))
	}
}

// facts are those of the certificate in use.
func (p *printer) facts(c *mdmv1alpha1.APNSCertificate, all bool) {
	status := &c.Status
	p.line("Certificate in use")
	if status.NotAfter == nil {
		p.line("  none yet")
		return
	}
	p.fact("Topic", status.Topic)
	p.fact("Apple Account", account(c))
	p.fact("Ends", fmt.Sprintf("%s, %s", date(status.NotAfter.Time), days(status.NotAfter.Sub(p.now))))
	if !all {
		return
	}
	if status.NotBefore != nil {
		p.fact("Begins", date(status.NotBefore.Time))
	}
	p.fact("Issuer", status.Issuer)
	p.fact("Serial number", status.SerialNumber)
	p.fact("Fingerprint", status.Fingerprint)
	if status.SecretRef != nil {
		p.fact("Secret", status.SecretRef.Name+", back it up: nothing can replace it")
	}
}

// account is the Apple Account of the certificate in use, or how to write it down.
func account(c *mdmv1alpha1.APNSCertificate) string {
	for _, known := range []string{c.Status.AppleAccount, c.Spec.AppleAccount} {
		if known != "" {
			return known
		}
	}
	return "not written down: put it into spec.appleAccount, since only that account can renew the certificate"
}

// servers are those that push with the certificate.
func (p *printer) servers(c *mdmv1alpha1.APNSCertificate, u users) {
	p.line("")
	p.line("Servers that use it")
	switch {
	case u.unknown != "":
		p.text("  ", "not known: "+u.unknown)
	case len(u.servers) == 0:
		p.line("  none: name it in spec.apple.apnsCertificateRef of an MDMServer")
	}
	for i := range u.servers {
		state, text := loaded(&u.servers[i], c)
		p.line("  %s %s", p.mark(state), u.servers[i].Name)
		p.text("    ", text)
	}
}
