package replicas

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/system/harness"
)

// Labels of the devices that the profiles of the harness select.
const (
	macTeam = "design"
	pcTeam  = harness.OfficeToken
)

// flowEvery is how often somebody wants something new.
const flowEvery = 3 * time.Second

// flow asks for something new all the time: for a list, which does no harm if it is made twice, for a restart, which must not be done twice, and for other
// settings, in turns.
type flow struct {
	*harness.Walk
	lists, restarts []string
	versions        int
	// works counts the pieces of work for a Mac so far.
	works atomic.Int32
}

// start asks until stop is called, which returns what went wrong.
func (f *flow) start(ctx context.Context) (stop func() error) {
	done, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ticker := time.NewTicker(flowEvery)
		defer ticker.Stop()
		for i := 0; ; i++ {
			if err := f.ask(ctx, i); err != nil {
				ended <- err
				return
			}
			select {
			case <-done:
				ended <- nil
				return
			case <-ctx.Done():
				ended <- ctx.Err()
				return
			case <-ticker.C:
			}
		}
	}()
	return func() error {
		close(done)
		return <-ended
	}
}

func (f *flow) ask(ctx context.Context, i int) error {
	f.works.Add(1)
	switch i % 3 {
	case 0:
		f.lists = append(f.lists, fmt.Sprintf("list-%d", i))
		return f.command(ctx, f.lists[len(f.lists)-1], mdmv1alpha1.ActionCertificateList, metav1.LabelSelector{MatchLabels: map[string]string{"team": macTeam}})
	case 1:
		f.restarts = append(f.restarts, fmt.Sprintf("restart-%d", i))
		all := metav1.LabelSelectorRequirement{Key: "team", Operator: metav1.LabelSelectorOpIn, Values: []string{macTeam, pcTeam}}
		return f.command(ctx, f.restarts[len(f.restarts)-1], mdmv1alpha1.ActionRestart, metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{all}})
	}
	return f.change(ctx)
}

// change gives both profiles another content.
func (f *flow) change(ctx context.Context) error {
	f.versions++
	if err := f.edit(ctx, harness.ProfileName, "/spec/apple/payloads/items/0/settings/idleTime", f.idleTime()); err != nil {
		return err
	}
	return f.edit(ctx, harness.CameraProfile, "/spec/windows/settings/1/value", fmt.Sprintf("%q", f.inactivity()))
}

// idleTime and inactivity are what the profiles say by now. No edit brings an earlier content back.
func (f *flow) idleTime() string   { return fmt.Sprint(1000 + f.versions) }
func (f *flow) inactivity() string { return fmt.Sprint(100 + f.versions) }

func (f *flow) command(ctx context.Context, name string, action mdmv1alpha1.ActionType, selector metav1.LabelSelector) error {
	return f.Create(ctx, &mdmv1alpha1.DeviceCommand{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: mdmv1alpha1.DeviceCommandSpec{
			ServerRef: mdmv1alpha1.LocalReference{Name: harness.ServerName},
			Target:    mdmv1alpha1.CommandTarget{Selector: &selector},
			Action:    mdmv1alpha1.CommandAction{Type: action},
		},
	})
}

func (f *flow) edit(ctx context.Context, name, path, value string) error {
	profile := &mdmv1alpha1.Profile{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	patch := fmt.Appendf(nil, `[{"op": "replace", "path": %q, "value": %s}]`, path, value)
	return f.Patch(ctx, profile, client.RawPatch(types.JSONPatchType, patch))
}
