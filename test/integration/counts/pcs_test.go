package counts_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
)

const (
	pcs = 500
	// idleRounds is how often each PC comes for nothing, and its agent asks for nothing.
	idleRounds = 4
	camera     = "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera"
)

// office is many PCs with agents.
type office []*windows.PC

// each does something for every PC, for a few of them at a time, and joins the errors.
func (o office) each(ctx context.Context, do func(context.Context, *windows.PC) error) error {
	var (
		working sync.WaitGroup
		slots   = make(chan struct{}, workers)
		failed  = make([]error, len(o))
	)
	for i, pc := range o {
		slots <- struct{}{}
		working.Go(func() {
			defer func() { <-slots }()
			if err := do(ctx, pc); err != nil {
				failed[i] = fmt.Errorf("%s: %w", pc.Hardware().SerialNumber, err)
			}
		})
	}
	working.Wait()
	return errors.Join(failed...)
}

// enrollPCs has the agents of this many PCs enrol them and waits until each has its Device.
func (w *world) enrollPCs(count int) office {
	w.Helper()
	token := await(w, "pcs", &mdmv1alpha1.EnrollmentToken{}, "Ready", func(e *mdmv1alpha1.EnrollmentToken) bool { return is(e, mdmv1alpha1.ConditionReady) })
	secret := &corev1.Secret{}
	w.get(token.Status.SecretRef.Name, secret)
	o := make(office, count)
	for i := range o {
		pc, err := windows.New(windows.Options{Hardware: windows.Laptop("PC", i), Roots: w.roots, Dial: w.pod.DialDevices, Key: keys.Key})
		w.must(err)
		pc.InstallAgent("https://"+host, string(secret.Data["token"]))
		o[i] = pc
	}
	w.must(o.each(w.Context(), func(ctx context.Context, pc *windows.PC) error {
		if err := enrolByAgent(ctx, pc); err != nil {
			return err
		}
		_, err := pc.Session(ctx, windows.SessionOptions{})
		return err
	}))
	w.haveDevices("PC", count)
	return o
}

// enrolByAgent polls until the agent was told to enrol its PC. A server that has not read all agents yet asks some to come back.
func enrolByAgent(ctx context.Context, pc *windows.PC) error {
	return wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		_, err := pc.PollAgent(ctx)
		if status := new(windows.HTTPError); errors.As(err, &status) && status.Status == http.StatusServiceUnavailable {
			return false, nil
		}
		return pc.Enrolled(), err
	})
}

// comeForNothing has every PC have sessions and every agent poll, which all find nothing to do.
func (o office) comeForNothing(ctx context.Context) error {
	for range idleRounds {
		err := o.each(ctx, func(ctx context.Context, pc *windows.PC) error {
			report, err := pc.Session(ctx, windows.SessionOptions{})
			if err != nil {
				return err
			}
			notice, err := pc.PollAgent(ctx)
			if err != nil {
				return err
			}
			if len(report.Commands) > 0 || *notice != (windows.Notifications{}) {
				return fmt.Errorf("an idle PC was told %+v, its agent %+v", report.Commands, *notice)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// have waits until the Profile of the camera, as it is now, is on every PC. Their agents wake them.
func (w *world) have(o office, value string) {
	w.Helper()
	count := int32(len(o))
	w.must(o.each(w.Context(), func(ctx context.Context, pc *windows.PC) error {
		return wait.PollUntilContextTimeout(ctx, time.Second, patience, true, func(ctx context.Context) (bool, error) {
			_, err := pc.PollAgent(ctx)
			node, _ := pc.Node(camera)
			return node.Data == value, err
		})
	}))
	w.countedOf("camera", counters{targeted: count, installed: count}, mdmv1alpha1.ProfileInstalled)
}

// editOnPCs edits the Profile of the PCs and counts what that makes the operator write after an earlier count: counters, and no Device.
func (w *world) editOnPCs(o office, before writes) {
	w.Helper()
	p := &mdmv1alpha1.Profile{}
	w.get("camera", p)
	p.Spec.Windows.Settings[0].Value = ptr.To("0")
	w.must(api.Update(w.Context(), p))
	w.have(o, "0")
	edited := w.settled().Since(before)
	w.Logf("a Profile's edit for %d PCs: %s", len(o), edited)
	if touched := edited.Touching("devices"); edited.Total() > maxWrites || touched.Total() > 0 {
		w.Errorf("an edit caused %s, want at most %d and none of a Device", edited, maxWrites)
	}
}

// onPCs is a Profile that sets the camera of the whole team.
func onPCs(value string) *mdmv1alpha1.Profile {
	return &mdmv1alpha1.Profile{ObjectMeta: metav1.ObjectMeta{Name: "camera"}, Spec: mdmv1alpha1.ProfileSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: serverName}, Selector: &metav1.LabelSelector{MatchLabels: team},
		Windows: &mdmv1alpha1.WindowsProfile{Type: mdmv1alpha1.WindowsSettings, Settings: []mdmv1alpha1.WindowsSetting{
			{LocURI: camera, Format: "int", Value: ptr.To(value)},
		}},
	}}
}
