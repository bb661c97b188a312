package enroll

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// never is the value of --expires without an end.
const never = "never"

// units of --expires besides those of Go's durations.
var units = []struct {
	sign string
	long time.Duration
}{{"d", 24 * time.Hour}, {"w", 7 * 24 * time.Hour}}

// ending is when a token ends that is made now: nil for never.
func ending(expires string, now time.Time) (*metav1.Time, error) {
	if expires == never {
		return nil, nil
	}
	long, err := time.ParseDuration(expires)
	for _, unit := range units {
		if number, has := strings.CutSuffix(expires, unit.sign); has {
			var n int64
			if n, err = strconv.ParseInt(number, 10, 64); err == nil && n > int64(math.MaxInt64/unit.long) {
				err = strconv.ErrRange
			}
			long = time.Duration(n) * unit.long
		}
	}
	if err != nil || long <= 0 {
		return nil, fmt.Errorf("--expires %q is no time to come: write 12h, 7d, 4w or never", expires)
	}
	return &metav1.Time{Time: now.Add(long).Truncate(time.Second)}, nil
}

// result is what programs read.
type result struct {
	Name      string       `json:"name"`
	Namespace string       `json:"namespace"`
	Server    string       `json:"server"`
	Token     string       `json:"token"`
	URL       string       `json:"url,omitempty"`
	Windows   string       `json:"windowsDeepLink,omitempty"`
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
	UsesLeft  *int32       `json:"usesLeft,omitempty"`
}

// show tells what to do on a device.
func (o *enroll) show(t *mdmv1alpha1.EnrollmentToken, secret *corev1.Secret) error {
	r := result{
		Name: t.Name, Namespace: t.Namespace, Server: t.Spec.ServerRef.Name, Token: string(secret.Data[keyToken]), URL: string(secret.Data[keyURL]),
		Windows: t.Status.WindowsDeepLink, ExpiresAt: t.Spec.ExpiresAt, UsesLeft: t.Status.UsesLeft,
	}
	if r.Token == "" {
		return fmt.Errorf("the Secret %s has no token (yet): kubectl describe enrollmenttoken %s", secret.Name, t.Name)
	}
	if o.output != "" {
		return look.Encode(o.env, o.output, r)
	}
	p := look.NewPrinter(o.env)
	p.Line("Token %s of the MDMServer %s%s", r.Name, r.Server, bounds(&r))
	if r.URL != "" {
		if err := o.showURL(p, &r); err != nil {
			return err
		}
	}
	if r.Windows != "" {
		p.Line("")
		p.Line("On a PC, open (Win+R takes it)")
		p.Line("  %s", r.Windows)
		p.Line("and type any user name, and as the password")
		p.Line("  %s", r.Token)
	}
	p.Line("")
	p.Line("Whoever has this can enrol a device. kubectl delete enrollmenttoken %s --namespace %s ends it; devices that enrolled stay.", r.Name, r.Namespace)
	return p.Err
}

func (o *enroll) showURL(p *look.Printer, r *result) error {
	p.Line("")
	p.Line("On a Mac, iPhone or iPad, open")
	p.Line("  %s", r.URL)
	if !o.qr || o.noQR {
		return nil
	}
	code, err := qr(r.URL, o.env.Colour)
	if err != nil {
		return fmt.Errorf("drawing the QR code (--no-qr leaves it out): %w", err)
	}
	p.Line("")
	p.Line("%s", strings.TrimSuffix(code, "\n"))
	return nil
}

func bounds(r *result) string {
	text := ""
	if r.UsesLeft != nil {
		text += ", " + look.Count(*r.UsesLeft, "use", "uses") + " left"
	}
	if r.ExpiresAt != nil {
		return text + ", ends " + look.Date(r.ExpiresAt.Time)
	}
	return text + ", without an end"
}
