package look_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
	lt "github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/looktest"
)

func reasons(needs []look.Need) string {
	var all []string
	for _, n := range needs {
		all = append(all, n.Condition+"/"+n.Reason)
	}
	return strings.Join(all, " ")
}

func TestNeeds(t *testing.T) {
	profile := func(conditions ...metav1.Condition) mdmv1alpha1.Object {
		return lt.With(&mdmv1alpha1.Profile{ObjectMeta: lt.Meta("p")}, conditions...)
	}
	device := func(conditions ...metav1.Condition) mdmv1alpha1.Object {
		return lt.With(&mdmv1alpha1.Device{ObjectMeta: lt.Meta("d")}, conditions...)
	}
	notReady := lt.Not(mdmv1alpha1.ConditionReady, mdmv1alpha1.ReasonError, "the sum")
	for _, tc := range []struct {
		name string
		o    mdmv1alpha1.Object
		want string
	}{
		{"nothing observed", profile(), ""},
		{"in the ordinary course", profile(lt.Not(mdmv1alpha1.ConditionReady, mdmv1alpha1.ReasonPending, ""), lt.Not(mdmv1alpha1.ProfileConverged, mdmv1alpha1.ProfileRollingOut, "")), ""},
		{"the part before the sum", profile(notReady, lt.Not(mdmv1alpha1.ProfileRendered, mdmv1alpha1.ReasonSecretNotFound, "")), "Rendered/SecretNotFound"},
		{"the sum alone", profile(notReady), "Ready/Error"},
		{"stalled comes first, each reason once", profile(lt.Not(mdmv1alpha1.ProfileAccepted, mdmv1alpha1.ReasonInvalid, ""), notReady,
			lt.Is(mdmv1alpha1.ConditionStalled, metav1.ConditionTrue, mdmv1alpha1.ReasonInvalid, "")), "Stalled/Invalid"},
		{"a step that is tried again", profile(lt.Is(mdmv1alpha1.ProfileRendered, metav1.ConditionUnknown, mdmv1alpha1.ReasonError, "")), "Rendered/Error"},
		{"a held removal", profile(lt.Is(mdmv1alpha1.ProfileRemovalHeld, metav1.ConditionTrue, mdmv1alpha1.ProfileTooManyRemovals, "")), "RemovalHeld/TooManyRemovals"},
		{"a removal that is not held any more", profile(lt.Not(mdmv1alpha1.ProfileRemovalHeld, mdmv1alpha1.ProfileTooManyRemovals, "")), ""},
		{"a condition of another's", profile(lt.Not("example.com/Checked", "Failed", "")), ""},
		{"declared", device(lt.Not(mdmv1alpha1.DeviceEnrolled, mdmv1alpha1.DeviceAwaitingEnrollment, "")), ""},
		{"waits in Setup Assistant", device(lt.Not(mdmv1alpha1.DeviceConfigured, mdmv1alpha1.DeviceAwaitingConfiguration, "")), ""},
		{"silent, and blocked", device(lt.Not(mdmv1alpha1.DeviceResponding, mdmv1alpha1.DeviceSilent, ""),
			lt.Is(mdmv1alpha1.DeviceReenrolmentBlocked, metav1.ConditionTrue, mdmv1alpha1.DeviceIdentityTaken, "")), "ReenrolmentBlocked/IdentityTaken Responding/Silent"},
		{"a PC renews late", device(lt.Is(mdmv1alpha1.DeviceRenewalDue, metav1.ConditionTrue, mdmv1alpha1.DeviceRenewalLate, "")), "RenewalDue/RenewalLate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := reasons(look.Needs("Kind", tc.o, lt.Now)); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

// Every page that is named exists, and what most needs one has one.
func TestRunbooks(t *testing.T) {
	for kindReason, want := range map[string]string{
		"Profile/TooManyRemovals": "removal-held.md", "APNSCertificate/Expired": "push-certificate-expires.md", "EnrollmentToken/Expired": "", "MDMServer/KeyLost": "key-lost.md",
	} {
		kind, reason, _ := strings.Cut(kindReason, "/")
		if got := look.Runbook(kind, reason); got != want && got != look.RunbookFolder+want {
			t.Errorf("%s: %q, want %q", kindReason, got, want)
		}
	}
	for _, page := range look.Runbooks() {
		if _, err := os.Stat(filepath.Join("..", "..", "..", "..", page)); err != nil {
			t.Error(err)
		}
	}
}

// A list that an API server forgot how to go on with is begun again, and nothing is in it twice.
func TestListBeginsAgain(t *testing.T) {
	var asked []string
	forgets := 1
	c := interceptor.NewClient(fake.NewClientBuilder().WithScheme(cli.Scheme).Build(), interceptor.Funcs{
		List: func(_ context.Context, _ client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			o := (&client.ListOptions{}).ApplyOptions(options)
			asked = append(asked, o.Continue)
			devices := list.(*mdmv1alpha1.DeviceList)
			switch {
			case o.Continue == "":
				devices.Items, devices.Continue = []mdmv1alpha1.Device{{ObjectMeta: lt.Meta("a")}}, "more"
			case forgets > 0:
				forgets--
				return apierrors.NewResourceExpired("too old")
			default:
				devices.Items = []mdmv1alpha1.Device{{ObjectMeta: lt.Meta("b")}}
			}
			return nil
		},
	})
	list := &mdmv1alpha1.DeviceList{}
	err := look.All(t.Context(), &cli.Env{}, &cli.Session{WithWatch: c}, list, "devices")
	if err != nil || len(list.Items) != 2 || strings.Join(asked, ",") != ",more,,more" {
		t.Errorf("%v: %d devices, asked %q", err, len(list.Items), asked)
	}
	forgets = 100
	if err := look.All(t.Context(), &cli.Env{}, &cli.Session{WithWatch: c}, list, "devices"); !apierrors.IsResourceExpired(err) {
		t.Errorf("%v", err)
	}
}

func TestDays(t *testing.T) {
	for left, want := range map[time.Duration]string{
		48 * time.Hour: "2 days left", 47 * time.Hour: "1 day left", time.Hour: "less than a day left", 0: "ended less than a day ago",
		-25 * time.Hour: "ended a day ago", -49 * time.Hour: "ended 2 days ago",
	} {
		if got := look.Days(left); got != want {
			t.Errorf("%v: %q, want %q", left, got, want)
		}
	}
}

// A table keeps its columns whatever stands in them, and colours do not move them.
func TestTable(t *testing.T) {
	w := lt.New(t)
	w.Colour = true
	w.WantError(w.Run(func(e *cli.Env) *cobra.Command {
		return &cobra.Command{RunE: func(*cobra.Command, []string) error {
			p := look.NewPrinter(e)
			p.Table([]string{"A", "B"}, []look.Row{{Mark: p.Mark(look.Well), Cells: []string{"ä\nö\x1b[2J", "x"}}, {Mark: p.Mark(look.Wrong), Cells: []string{"", "y"}}})
			return p.Err
		}}
	}))
	want := "    A          B\n  \x1b[32m✓\x1b[0m ä ö^[[2J   x\n  \x1b[31m✗\x1b[0m <none>     y\n"
	if w.Out.String() != want {
		t.Errorf("%q", w.Out.String())
	}
}
