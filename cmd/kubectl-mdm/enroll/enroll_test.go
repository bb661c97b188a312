package enroll_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/enroll"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doingtest"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/looktest"
	"github.com/kubemdm/kubemdm/test/golden"
)

const (
	address  = "https://mdm.example.com/enroll?token=Zm9yLXRlc3Rz"
	deepLink = "ms-device-enrollment:?mode=mdm&servername=https://mdm.example.com"
)

func server(name string) *mdmv1alpha1.MDMServer {
	return &mdmv1alpha1.MDMServer{ObjectMeta: looktest.Meta(name)}
}

// world has one server, and an operator that publishes the token.
func world(t *testing.T, more ...client.Object) *doingtest.World {
	w := doingtest.New(t, append(more, server("berlin"))...)
	w.Operator = func(o client.Object) {
		token := o.(*mdmv1alpha1.EnrollmentToken)
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: token.Namespace, Name: token.Name + "-enrollment"}, Data: map[string][]byte{"token": []byte("Zm9yLXRlc3Rz")}}
		token.Status.SecretRef = &mdmv1alpha1.LocalReference{Name: secret.Name}
		token.Status.ObservedGeneration = token.Generation
		if token.Spec.MaxUses > 0 {
			token.Status.UsesLeft = &token.Spec.MaxUses
		}
		if len(token.Spec.Platforms) == 0 || token.Spec.Platforms[0] == mdmv1alpha1.PlatformApple {
			token.Status.URL, secret.Data["url"] = "https://mdm.example.com/enroll", []byte(address)
		}
		if len(token.Spec.Platforms) != 1 || token.Spec.Platforms[0] == mdmv1alpha1.PlatformWindows {
			token.Status.WindowsDeepLink = deepLink
		}
		looktest.With(token, looktest.Well(mdmv1alpha1.EnrollmentTokenPublished))
		if err := w.Client.Create(t.Context(), secret, client.FieldOwner("kubectl-mdm")); err != nil {
			t.Error(err)
		}
	}
	return w
}

func token(t *testing.T, w *doingtest.World) *mdmv1alpha1.EnrollmentToken {
	t.Helper()
	found, is := w.Created[0].(*mdmv1alpha1.EnrollmentToken)
	if !is {
		t.Fatalf("%T was created", w.Created[0])
	}
	return found
}

func TestWhatIsShown(t *testing.T) {
	for name, args := range map[string][]string{
		"both":    {"team", "--max-uses", "25"},
		"colour":  {"team"},
		"windows": {"team", "--platform", "Windows", "--expires", "never", "--max-uses", "1"},
		"no-qr":   {"team", "--platform", "Apple", "--no-qr"},
	} {
		t.Run(name, func(t *testing.T) {
			w := world(t)
			w.Colour = name == "colour"
			w.WantError(w.Run(enroll.Command, args...))
			golden.Check(t, "testdata/"+name+".txt", w.Out.Bytes())
			w.WantNotes("Made the EnrollmentToken team in the namespace fleet")
		})
	}
}

func TestTokenThatIsMade(t *testing.T) {
	w := world(t)
	w.WantError(w.Run(enroll.Command, "--label", "team=design", "--label", "floor=2", "--platform", "Apple,Windows", "--max-uses", "3", "--expires", "12h", "--qr=false"))
	made := token(t, w)
	if made.Spec.ServerRef.Name != "berlin" || made.Spec.Labels["team"] != "design" || made.Spec.Labels["floor"] != "2" || len(made.Spec.Platforms) != 2 || made.Spec.MaxUses != 3 {
		t.Errorf("%+v", made.Spec)
	}
	if !strings.HasPrefix(made.Name, "enroll-") || !made.Spec.ExpiresAt.Time.Equal(looktest.Now.Add(12*time.Hour)) {
		t.Errorf("%s ends at %v", made.Name, made.Spec.ExpiresAt)
	}
}

func TestExpiry(t *testing.T) {
	for given, want := range map[string]time.Duration{"": 7 * 24 * time.Hour, "3d": 72 * time.Hour, "2w": 14 * 24 * time.Hour, "90m": 90 * time.Minute, "never": 0} {
		w := world(t)
		args := []string{"--no-qr"}
		if given != "" {
			args = append(args, "--expires", given)
		}
		w.WantError(w.Run(enroll.Command, args...))
		switch end := token(t, w).Spec.ExpiresAt; {
		case want == 0 && end != nil, want != 0 && (end == nil || !end.Time.Equal(looktest.Now.Add(want))):
			t.Errorf("%q ends at %v", given, end)
		}
	}
	for _, given := range []string{"0d", "-1h", "d", "7", "soon", "99999999999999999d"} {
		w := world(t)
		w.WantError(w.Run(enroll.Command, "--expires", given), "--expires", "write 12h, 7d, 4w or never")
		if len(w.Created) != 0 {
			t.Errorf("%q makes a token", given)
		}
	}
}

func TestForOneDevice(t *testing.T) {
	device := looktest.Device("ana", "S1", mdmv1alpha1.PlatformApple)
	device.Spec.ServerRef.Name = "oslo"
	w := world(t, device, server("oslo"))
	w.WantError(w.Run(enroll.Command, "--device", "S1"))
	if made := token(t, w); made.Spec.DeviceRef.Name != "ana" || made.Spec.ServerRef.Name != "oslo" {
		t.Errorf("%+v", made.Spec)
	}
	w.WantError(w.Run(enroll.Command, "--device", "ana", "--server", "berlin"), "the Device ana belongs to the MDMServer oslo")
	w.WantError(w.Run(enroll.Command), "several MDMServers", "--server: berlin, oslo")
	w.WantError(w.Run(enroll.Command, "--device", "nobody"), "has the name or serial number nobody")
}

func TestForPrograms(t *testing.T) {
	w := world(t)
	w.WantError(w.Run(enroll.Command, "team", "-o", "json"))
	var got map[string]any
	if err := json.Unmarshal(w.Out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"name": "team", "server": "berlin", "token": "Zm9yLXRlc3Rz", "url": address, "windowsDeepLink": deepLink} {
		if got[key] != want {
			t.Errorf("%s is %v", key, got[key])
		}
	}
	w.WantError(w.Run(enroll.Command, "-o", "xml"), "there is no output format")
}

func TestWithoutTheRightToReadTheSecret(t *testing.T) {
	w := world(t)
	w.Fail = func(verb, kind, name string) error {
		if verb == "get" && kind == "Secret" {
			return apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, name, errors.New("no right"))
		}
		return nil
	}
	err := w.Run(enroll.Command, "team", "--platform", "Windows")
	w.WantError(err, "the EnrollmentToken team is ready, but you may not read the Secret team-enrollment",
		"kubectl get secret team-enrollment --namespace fleet --output jsonpath='{.data.token}' | base64 --decode")
	w = world(t)
	w.Fail = doingtest.Forbid("list", "MDMServer")
	w.WantError(w.Run(enroll.Command, "team"), "name the MDMServer with --server")
}

func TestTokenThatDoesNotGetReady(t *testing.T) {
	w := world(t)
	w.Operator = func(o client.Object) {
		looktest.With(o.(*mdmv1alpha1.EnrollmentToken), looktest.Is(mdmv1alpha1.ConditionStalled, metav1.ConditionTrue, mdmv1alpha1.EnrollmentTokenSecretTaken,
			"the Secret team-enrollment belongs to something else"))
	}
	w.WantError(w.Run(enroll.Command, "team"), "the EnrollmentToken team is there and not ready", "belongs to something else", "kubectl delete enrollmenttoken team")
	w.WantError(w.Run(enroll.Command, "team"), "there is an EnrollmentToken team already, which is left as it is")
	w.Operator = func(o client.Object) {
		looktest.With(o.(*mdmv1alpha1.EnrollmentToken), looktest.Not(mdmv1alpha1.EnrollmentTokenPublished, mdmv1alpha1.ReasonServerUnreachable, "the server does not answer"))
	}
	w.WantError(w.Run(enroll.Command, "other", "--timeout", "50ms"), "not done after 50ms: the server does not answer")
}
