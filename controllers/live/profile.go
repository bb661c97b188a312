package live

import (
	"cmp"
	"context"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/registry/rest"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/convert"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// profileReports reads how far a Profile is on every device.
type profileReports struct{ *fleet }

var (
	_ rest.Getter               = &profileReports{}
	_ rest.TableConvertor       = &profileReports{}
	_ rest.Scoper               = &profileReports{}
	_ rest.SingularNameProvider = &profileReports{}
)

// New implements rest.Storage.
func (*profileReports) New() runtime.Object { return &livev1alpha1.ProfileReport{} }

// Destroy implements rest.Storage.
func (*profileReports) Destroy() {}

// NamespaceScoped implements rest.Scoper.
func (*profileReports) NamespaceScoped() bool { return true }

// GetSingularName implements rest.SingularNameProvider.
func (*profileReports) GetSingularName() string { return "profilereport" }

// Get implements rest.Getter.
func (r *profileReports) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	p := &mdmv1alpha1.Profile{}
	if err := r.get(ctx, types.NamespacedName{Namespace: namespaceOf(ctx), Name: name}, p, "profiles"); err != nil {
		return nil, err
	}
	server := types.NamespacedName{Namespace: p.Namespace, Name: p.Spec.ServerRef.Name}
	t, err := r.count(ctx, server, convert.Key(p))
	if isUnknown(err) {
		return nil, conflict("the Profile %s has not been handed to the MDMServer %s yet: see its conditions (kubectl describe profile %s)", p.Name, server.Name, p.Name)
	}
	if err != nil {
		return nil, err
	}
	report := &livev1alpha1.ProfileReport{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, CreationTimestamp: p.CreationTimestamp},
		Server:     server.Name,
	}
	return report, r.fill(ctx, report, server, t)
}

// count reads the states page by page.
func (r *profileReports) count(ctx context.Context, server types.NamespacedName, key adminapi.Key) (*tally, error) {
	t := &tally{worst: map[string]adminapi.ArtifactOutcome{}}
	for after := ""; ; {
		page, err := ask(ctx, r.fleet, server, askTimeout, func(ctx context.Context, c *adminapi.Client) (*adminapi.Page[adminapi.ArtifactState], error) {
			return c.ArtifactStates(ctx, key, after, adminapi.MaxPage)
		})
		if err != nil {
			return nil, err
		}
		for _, s := range page.Items {
			t.add(s)
		}
		if page.Next == "" {
			return t, nil
		}
		after = page.Next
	}
}

// tally counts devices, each by the worst of its channels, and keeps the first of those that are behind.
type tally struct {
	worst  map[string]adminapi.ArtifactOutcome // by device
	behind []adminapi.ArtifactState
	cut    int
}

// rank orders outcomes by how bad they are: a device is installed when all of its channels are.
func rank(o adminapi.ArtifactOutcome) int {
	switch o {
	case adminapi.ArtifactInstalled:
		return 1
	case adminapi.ArtifactFailed:
		return 3
	}
	return 2
}

func (t *tally) add(s adminapi.ArtifactState) {
	if s.Outcome == adminapi.ArtifactRemoving {
		return // it is not wanted there any more
	}
	if was, known := t.worst[s.DeviceID]; !known || rank(s.Outcome) > rank(was) {
		t.worst[s.DeviceID] = s.Outcome
	}
	if s.Outcome == adminapi.ArtifactInstalled {
		return
	}
	if t.behind = append(t.behind, s); len(t.behind) > 2*livev1alpha1.MaxBehind {
		t.trim()
	}
}

// trim sorts those that are behind and forgets all but the first.
func (t *tally) trim() {
	slices.SortFunc(t.behind, func(a, b adminapi.ArtifactState) int {
		return cmp.Or(rank(b.Outcome)-rank(a.Outcome), behindSince(a).Compare(behindSince(b)), cmp.Compare(a.DeviceID, b.DeviceID), cmp.Compare(a.Channel, b.Channel))
	})
	if over := len(t.behind) - livev1alpha1.MaxBehind; over > 0 {
		t.cut += over
		t.behind = t.behind[:livev1alpha1.MaxBehind]
	}
}

// behindSince is since when a channel is behind. One that was never told of anything is behind since its device was seen last.
func behindSince(s adminapi.ArtifactState) time.Time {
	if s.Since.IsZero() {
		return s.LastSeen
	}
	return s.Since
}

func (r *profileReports) fill(ctx context.Context, report *livev1alpha1.ProfileReport, server types.NamespacedName, t *tally) error {
	for _, outcome := range t.worst {
		report.Targeted++
		switch rank(outcome) {
		case rank(adminapi.ArtifactInstalled):
			report.Installed++
		case rank(adminapi.ArtifactFailed):
			report.Failed++
		default:
			report.Pending++
		}
	}
	t.trim()
	now := r.Clock.Now()
	for _, s := range t.behind {
		name, serial, err := r.named(ctx, server, s.DeviceID)
		if err != nil {
			return err
		}
		report.Behind = append(report.Behind, livev1alpha1.DeviceProfileState{
			Device: name, DeviceID: s.DeviceID, SerialNumber: serial, LastSeen: convert.Time(s.LastSeen), Responding: s.Responding, ProfileState: profileState(s, now),
		})
	}
	report.Truncated = int32(t.cut)
	return nil
}
