package harness

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
)

// Names of what the walk makes for PCs.
const (
	OfficeToken   = "office"
	CameraProfile = "no-camera"
	leaveCommand  = "leave"
	allowCamera   = "./Device/Vendor/MSFT/Policy/Config/Camera/AllowCamera"
	enrolledMacs  = 3
)

// ways are how the simulated PCs enrol, one each.
var ways = []string{"agent", "password"}

// enrolPCs has one PC enrol by its agent and one by a token that a person types.
func (w *Walk) enrolPCs(ctx context.Context) error {
	if err := w.ApplyFile(ctx, w.Namespace, "office.yaml", nil); err != nil {
		return err
	}
	token := &mdmv1alpha1.EnrollmentToken{ObjectMeta: w.meta(OfficeToken)}
	if err := w.Wait(ctx, "the token of the office", w.Satisfied(token, mdmv1alpha1.ConditionReady)); err != nil {
		return err
	}
	for _, way := range ways {
		if err := w.ApplyFile(ctx, w.Namespace, "pcs.yaml", map[string]string{"WAY": way, "SERIAL_PREFIX": way}); err != nil {
			return err
		}
	}
	if err := w.allEnrolled(ctx, enrolledMacs+len(ways)); err != nil {
		return err
	}
	return w.Wait(ctx, "the PCs to show their certificates on the host name for that", func(ctx context.Context) (bool, string, error) {
		pcs, err := w.Office(ctx)
		unproven := func(d mdmv1alpha1.Device) bool { return d.Status.Authentication != mdmv1alpha1.AuthenticationMutualTLS }
		return len(pcs) == len(ways) && !slices.ContainsFunc(pcs, unproven), fmt.Sprintf("%d PCs", len(pcs)), err
	})
}

// Office lists the Devices that enrolled with the token of the office.
func (w *Walk) Office(ctx context.Context) ([]mdmv1alpha1.Device, error) {
	devices := &mdmv1alpha1.DeviceList{}
	err := w.List(ctx, devices, client.InNamespace(w.Namespace), client.MatchingLabels{"team": OfficeToken})
	return devices.Items, err
}

// configurePCs publishes a profile; Windows reads every setting back before it counts.
func (w *Walk) configurePCs(ctx context.Context) error {
	if err := w.ApplyFile(ctx, w.Namespace, "camera.yaml", nil); err != nil {
		return err
	}
	return w.converged(ctx, CameraProfile, len(ways))
}

// converged waits until all of so many devices have the profile.
func (w *Walk) converged(ctx context.Context, name string, count int) error {
	profile := &mdmv1alpha1.Profile{ObjectMeta: w.meta(name)}
	return w.Wait(ctx, "the profile "+name, func(ctx context.Context) (bool, string, error) {
		done, missing, err := w.Satisfied(profile, mdmv1alpha1.ConditionReady)(ctx)
		if err != nil || !done {
			return false, missing, err
		}
		s := profile.Status
		return s.Installed != nil && int(*s.Installed) == count && int(*s.Targeted) == count, fmt.Sprintf("%+v", s), nil
	})
}

// leave unenrols one PC by a command; the other one stays as it is.
func (w *Walk) leave(ctx context.Context) error {
	pcs, err := w.Office(ctx)
	if err != nil {
		return err
	}
	leaver := &pcs[0]
	if err := w.ApplyFile(ctx, w.Namespace, "leave.yaml", map[string]string{"DEVICE": leaver.Name}); err != nil {
		return err
	}
	command := &mdmv1alpha1.DeviceCommand{ObjectMeta: w.meta(leaveCommand)}
	if err := w.Wait(ctx, "the PC to leave", w.Satisfied(command, mdmv1alpha1.DeviceCommandSucceeded)); err != nil {
		return err
	}
	err = w.Wait(ctx, "its Device to tell so", func(ctx context.Context) (bool, string, error) {
		err := w.Get(ctx, client.ObjectKeyFromObject(leaver), leaver)
		e := leaver.Status.Enrollment
		return err == nil && e.State == mdmv1alpha1.EnrollmentEnded && e.EndReason == "Unenrolled", fmt.Sprintf("%+v", e), err
	})
	if err != nil {
		return err
	}
	if err := w.converged(ctx, CameraProfile, len(ways)-1); err != nil {
		return err
	}
	return w.recount(ctx, enrolledMacs+len(ways)-1)
}

// EnrolPCs enrols simulated PCs in this process over the server's Service, with an EnrollmentToken of the given name that it makes. It works on the cluster's
// node only.
func (w *Walk) EnrolPCs(ctx context.Context, team string, count int) ([]*windows.PC, error) {
	n, secret, err := w.trust(ctx, team)
	if err != nil {
		return nil, err
	}
	server := &mdmv1alpha1.MDMServer{ObjectMeta: w.meta(ServerName)}
	if err := w.Get(ctx, client.ObjectKeyFromObject(server), server); err != nil {
		return nil, err
	}
	keys := devicesim.NewKeyPool(workers)
	var pcs []*windows.PC
	for i := range count {
		pc, err := windows.New(windows.Options{
			Hardware: windows.Laptop(team, i+1), Roots: n.roots, Dial: n.dial, Network: &devicesim.Network{Around: n.Around}, Key: keys.Key, LegacyCSR: i%2 == 1, RetryInterval: interval,
		})
		if err != nil {
			return nil, err
		}
		err = w.Wait(ctx, "a PC to enrol", func(ctx context.Context) (bool, string, error) {
			err := pc.EnrollWithPassword(ctx, "https://"+server.Spec.Host, "person@example.com", string(secret.Data["token"]))
			return err == nil, "", err
		})
		if err != nil {
			return nil, err
		}
		pcs = append(pcs, pc)
	}
	return pcs, nil
}
