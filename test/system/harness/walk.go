package harness

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/applepki"
)

// Names of what the walk makes.
const (
	ServerName   = "mdm"
	ProfileName  = "screen-lock"
	CommandName  = "restart-sales"
	fakeAppleCA  = "fake-apple-ca"
	fakeDeviceCA = "fake-apple-devices"
	caKey        = "ca.crt"
	profileOnMac = "io.kubemdm.%s." + ProfileName // its PayloadIdentifier in a namespace
)

// team is some simulated Macs that enrol with one token.
type team struct {
	name, serialPrefix string
	count              int
}

var teams = []team{{"design", "DESIGN", 2}, {"sales", "SALES", 1}}

// targeted is how many Macs the profile selects.
const targeted = 2

// Walk is the main path, from an empty namespace to managed Macs.
type Walk struct {
	*Cluster
	// Namespace of the fleet.
	Namespace string
	// Apple stands in for Apple's authorities and its portal, once the walk has come there. AppleClock is its clock, if it is not the real one.
	Apple      *applepki.Apple
	AppleClock func() time.Time
	// Server are the values of REPLICAS and STORAGE in the manifest of the server that are not 1 and SQLite.
	Server map[string]string
	// Around carries the requests of simulated devices in this process, if it is set: see devicesim.Network.
	Around func(*http.Request, http.RoundTripper) (*http.Response, error)
	// Devices vouches for Apple's devices, once the walk has come there.
	Devices *applepki.DeviceCA
}

// Step is one step of the walk.
type Step struct {
	Title string
	Do    func(context.Context) error
}

// Steps are the whole walk in order. Each returns when what its title says is true.
func (w *Walk) Steps() []Step {
	return append(w.ToServer(),
		w.MacsStep(),
		Step{"the profile is on two of them", w.configure},
		Step{"the third has restarted", w.restart},
		Step{"the edited profile is on two of them again", w.edit},
		Step{"two PCs are enrolled, one by its agent", w.enrolPCs},
		Step{"their profile is verified on both", w.configurePCs},
		Step{"one PC has left", w.leave},
		w.BusinessStep(),
		Step{"a Mac that was just unpacked has enrolled by itself and is configured", w.unpack},
	)
}

// ToApple are the steps up to an empty namespace with a stand-in for Apple's push service.
func (w *Walk) ToApple() []Step {
	return []Step{
		{"the operator is installed with Helm", Install},
		{"the namespace " + w.Namespace + " is empty", w.startOver},
		{"a stand-in for Apple's push service runs", w.fakeApple},
	}
}

// ToServer are the steps up to a server without devices.
func (w *Walk) ToServer() []Step {
	return append(w.ToApple(), Step{"a push certificate is requested, signed by the vendor, issued and in use", w.requestPush}, w.ServerStep())
}

// ServerStep is the step to a server that uses the push certificate.
func (w *Walk) ServerStep() Step { return Step{"a device management server is ready", w.serve} }

// MacsStep is the step to simulated Macs in pods, which connect when they are woken.
func (w *Walk) MacsStep() Step { return Step{"three Macs are enrolled", w.enrol} }

func (w *Walk) startOver(ctx context.Context) error {
	if err := w.DeleteNamespace(ctx, w.Namespace); err != nil {
		return err
	}
	return w.CreateNamespace(ctx, w.Namespace)
}

func (w *Walk) serve(ctx context.Context) error {
	values := map[string]string{"REPLICAS": "1", "STORAGE": "{sqlite: {size: 1Gi}}"}
	maps.Copy(values, w.Server)
	if err := w.ApplyFile(ctx, w.Namespace, "server.yaml", values); err != nil {
		return err
	}
	server := &mdmv1alpha1.MDMServer{ObjectMeta: w.meta(ServerName)}
	return w.Wait(ctx, "the server", w.Satisfied(server, mdmv1alpha1.ConditionReady, mdmv1alpha1.MDMServerPushReady))
}

func (w *Walk) enrol(ctx context.Context) error {
	if err := w.ApplyFile(ctx, w.Namespace, "tokens.yaml", nil); err != nil {
		return err
	}
	want := 0
	for _, team := range teams {
		want += team.count
		values := map[string]string{"TEAM": team.name, "SERIAL_PREFIX": team.serialPrefix, "COUNT": strconv.Itoa(team.count)}
		if err := w.ApplyFile(ctx, w.Namespace, "macs.yaml", values); err != nil {
			return err
		}
	}
	if err := w.allEnrolled(ctx, want); err != nil {
		return err
	}
	return w.recount(ctx, want)
}

// allEnrolled waits until there are so many Devices, all of them enrolled.
func (w *Walk) allEnrolled(ctx context.Context, want int) error {
	return w.Wait(ctx, "the devices to enrol", func(ctx context.Context) (bool, string, error) {
		devices := &mdmv1alpha1.DeviceList{}
		if err := w.List(ctx, devices, client.InNamespace(w.Namespace)); err != nil {
			return false, "", err
		}
		enrolled := 0
		for i := range devices.Items {
			done, missing, err := w.Satisfied(&devices.Items[i], mdmv1alpha1.ConditionReady, mdmv1alpha1.DeviceEnrolled)(ctx)
			if !done {
				return false, missing, err
			}
			enrolled++
		}
		return enrolled == want, fmt.Sprintf("%d of %d", enrolled, want), nil
	})
}

// Look asks the operator to look at the server now, which it does once a minute by itself. It has when status.lastHandledRequest is what Look returns.
func (w *Walk) Look(ctx context.Context) (server *mdmv1alpha1.MDMServer, request string, err error) {
	server, request = &mdmv1alpha1.MDMServer{ObjectMeta: w.meta(ServerName)}, time.Now().Format(time.RFC3339Nano)
	patch := fmt.Sprintf(`{"metadata": {"annotations": {%q: %q}}}`, mdmv1alpha1.AnnotationRequestedAt, request)
	return server, request, w.Patch(ctx, server, client.RawPatch(types.MergePatchType, []byte(patch)))
}

// recount has the operator look, and waits until the MDMServer counts the devices.
func (w *Walk) recount(ctx context.Context, enrolled int) error {
	server, now, err := w.Look(ctx)
	if err != nil {
		return err
	}
	return w.Wait(ctx, "the server to count the devices", func(ctx context.Context) (bool, string, error) {
		err := w.Get(ctx, client.ObjectKeyFromObject(server), server)
		status := server.Status
		return err == nil && status.LastHandledRequest == now && int(*status.Enrolled) == enrolled, fmt.Sprintf("%+v", status), err
	})
}

func (w *Walk) configure(ctx context.Context) error {
	if err := w.ApplyFile(ctx, w.Namespace, "profile.yaml", nil); err != nil {
		return err
	}
	return w.installed(ctx, "", targeted)
}

// installed waits until the profile is on the Macs that it selects with a digest other than before, by what the Profile says and by what the Macs
// have said in all since they were started.
func (w *Walk) installed(ctx context.Context, before string, inAll int) error {
	profile := &mdmv1alpha1.Profile{ObjectMeta: w.meta(ProfileName)}
	converged := w.Satisfied(profile, mdmv1alpha1.ConditionReady, mdmv1alpha1.ProfileConverged)
	err := w.Wait(ctx, "the profile to be installed", func(ctx context.Context) (bool, string, error) {
		done, missing, err := converged(ctx)
		if !done {
			return false, missing, err
		}
		status := profile.Status
		return status.Digest != before && *status.Targeted == targeted && *status.Installed == targeted,
			fmt.Sprintf("targeted=%d installed=%d digest=%s", *status.Targeted, *status.Installed, status.Digest), nil
	})
	if err != nil {
		return err
	}
	logs, err := w.Logs(ctx, w.Namespace, "macs-"+teams[0].name, 1000)
	if err != nil {
		return err
	}
	line := "installed profile " + fmt.Sprintf(profileOnMac, w.Namespace)
	if n := strings.Count(logs, line); n != inAll {
		return fmt.Errorf("the Macs have printed %q %d times, not %d times", line, n, inAll)
	}
	return nil
}

func (w *Walk) restart(ctx context.Context) error {
	if err := w.ApplyFile(ctx, w.Namespace, "restart.yaml", nil); err != nil {
		return err
	}
	command := &mdmv1alpha1.DeviceCommand{ObjectMeta: w.meta(CommandName)}
	if err := w.Wait(ctx, "the restart", w.Satisfied(command, mdmv1alpha1.DeviceCommandSucceeded)); err != nil {
		return err
	}
	if counts := command.Status.Counts; counts == nil || counts.Succeeded != 1 {
		return fmt.Errorf("the restart has succeeded on %+v, not on one Mac", counts)
	}
	return nil
}

func (w *Walk) edit(ctx context.Context) error {
	profile := &mdmv1alpha1.Profile{ObjectMeta: w.meta(ProfileName)}
	if err := w.Get(ctx, client.ObjectKeyFromObject(profile), profile); err != nil {
		return err
	}
	patch := client.RawPatch(types.JSONPatchType,
		[]byte(`[{"op": "replace", "path": "/spec/apple/payloads/items/0/settings/idleTime", "value": 300}]`))
	before := profile.Status.Digest
	if err := w.Patch(ctx, profile, patch); err != nil {
		return err
	}
	return w.installed(ctx, before, 2*targeted)
}

func (w *Walk) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: w.Namespace, Name: name}
}
