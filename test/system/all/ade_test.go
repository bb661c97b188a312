package all

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/depfake"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/system/harness"
)

// What the organisation has, and what changes while the manager is killed.
const (
	boughtMacs, boughtIPads = 3000, 2000
	added, removed, changed = 200, 100, 50
	// mostCalls bounds the assignments: one for each thousand devices of a profile, one for each of the two profiles of the devices that were added,
	// and for each of the two kills what may have been sent and not heard.
	mostCalls = 3 + 2 + 2 + 2*2
)

// organisation is an AutomatedEnrollment on the cluster and Apple's truth behind it.
type organisation struct {
	*fleet
	*testing.T
}

// TestAutomatedEnrollment brings 5,000 devices of an organisation in while the manager is killed twice and Apple's list changes.
func TestAutomatedEnrollment(t *testing.T) {
	o := &organisation{&fleet{Walk: harness.Start(t, "kubemdm-ade")}, t}
	o.Patience = 2 * harness.Patience // 15,000 writes
	harness.Take(t, o.ToServer()...)
	harness.Take(t,
		o.BusinessStep(),
		harness.Step{Title: "5,000 devices are bought, and the manager is killed in the middle", Do: o.buyAndKill},
		harness.Step{Title: "200 are added, 100 removed and 50 changed, and it is killed again", Do: o.changeAndKill},
		harness.Step{Title: "the cluster says what Apple says", Do: o.agrees},
		harness.Step{Title: "no assignment was sent twice without need", Do: o.frugal},
		harness.Step{Title: "an idle sync asks Apple once and writes nothing", Do: o.idle},
		harness.Step{Title: "a Mac whose serial number is not listed is refused", Do: o.refuseStranger},
		harness.Step{Title: "a Mac of the list enrols, gets its profile and leaves Setup Assistant", Do: o.setUp},
	)
}

func device(kind string, i int) depfake.Device {
	if kind == "Mac" {
		return depfake.Device{SerialNumber: fmt.Sprintf("MAC%09d", i), Model: "MacBook Pro 14", Family: "Mac", OS: "OSX", AssetTag: fmt.Sprint("m-", i)}
	}
	return depfake.Device{SerialNumber: fmt.Sprintf("PAD%09d", i), Model: "iPad Pro", Family: "iPad", OS: "iOS", AssetTag: fmt.Sprint("p-", i)}
}

func devicesOf(kind string, from, count int) []depfake.Device {
	var all []depfake.Device
	for i := range count {
		all = append(all, device(kind, from+i))
	}
	return all
}

func (o *organisation) buyAndKill(ctx context.Context) error {
	if err := errors.Join(o.Buy(ctx, devicesOf("Mac", 0, boughtMacs)...), o.Buy(ctx, devicesOf("iPad", 0, boughtIPads)...)); err != nil {
		return err
	}
	if err := o.Wait(ctx, "a third of the Devices", func(ctx context.Context) (bool, string, error) {
		n, err := o.count(ctx)
		return n >= (boughtMacs+boughtIPads)/3, fmt.Sprint(n), err
	}); err != nil {
		return err
	}
	return o.kill(ctx, "manager", o.managerPod)
}

func (o *organisation) count(ctx context.Context) (int, error) {
	list := &mdmv1alpha1.DeviceList{}
	err := o.List(ctx, list, client.InNamespace(o.Namespace), client.MatchingLabels{mdmv1alpha1.LabelAutomatedEnrollment: harness.BusinessName})
	return len(list.Items), err
}

func (o *organisation) changeAndKill(ctx context.Context) error {
	gone := make([]string, 0, removed)
	for i := range removed {
		gone = append(gone, device("Mac", changed+i).SerialNumber) // Macs come first: they have their Devices already
	}
	var edited []depfake.Device
	for i := range changed {
		d := device("Mac", i)
		d.AssetTag = "edited"
		edited = append(edited, depfake.Device{SerialNumber: d.SerialNumber, AssetTag: d.AssetTag})
	}
	err := errors.Join(
		o.Buy(ctx, devicesOf("Mac", boughtMacs, added/2)...), o.Buy(ctx, devicesOf("iPad", boughtIPads, added/2)...),
		o.portal(ctx, http.MethodDelete, "/devices", gone), o.portal(ctx, http.MethodPatch, "/devices", edited),
	)
	if err != nil {
		return err
	}
	return o.kill(ctx, "manager", o.managerPod)
}

func (o *organisation) portal(ctx context.Context, method, path string, body any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return err
	}
	_, err = o.Portal(ctx, method, path, encoded)
	return err
}

func (o *organisation) ask(ctx context.Context, path string, into any) error {
	body, err := o.Portal(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

// agrees waits until the AutomatedEnrollment is ready with all devices, and compares every Device with Apple's truth.
func (o *organisation) agrees(ctx context.Context) error {
	const listed = boughtMacs + boughtIPads + added - removed
	business := o.Business()
	ready := o.Satisfied(business, mdmv1alpha1.ConditionReady, mdmv1alpha1.AutomatedEnrollmentDevicesAssigned)
	err := o.Wait(ctx, "all devices to be listed and assigned", func(ctx context.Context) (bool, string, error) {
		done, missing, err := ready(ctx)
		counted := business.Status.Devices
		return done && *counted.Listed == listed && *counted.Assigned == listed, missing, err
	})
	if err != nil {
		return err
	}
	truth := map[string]depfake.Device{}
	if err := o.ask(ctx, "/devices", &truth); err != nil {
		return err
	}
	profiles := map[string]string{}
	for _, p := range business.Status.Profiles {
		profiles[p.Name] = p.UUID
	}
	list := &mdmv1alpha1.DeviceList{}
	if err := o.List(ctx, list, client.InNamespace(o.Namespace)); err != nil {
		return err
	}
	left := 0
	for i := range list.Items {
		d := &list.Items[i]
		apples, known := truth[d.Spec.SerialNumber]
		if d.Spec.Listing.State == mdmv1alpha1.ListingLeft {
			left++
		}
		if known != (d.Spec.Listing.State == mdmv1alpha1.ListingListed) || known && differs(d, apples, profiles) {
			return fmt.Errorf("the Device says %+v %v, Apple %+v (%t)", d.Spec.Listing, d.Labels, apples, known)
		}
	}
	if len(truth) != listed || len(list.Items) != listed+removed || left != removed {
		return fmt.Errorf("Apple lists %d, there are %d Devices, of which %d left", len(truth), len(list.Items), left)
	}
	return nil
}

func differs(d *mdmv1alpha1.Device, apples depfake.Device, profiles map[string]string) bool {
	want := profiles["others"]
	if apples.Family == "Mac" {
		want = profiles["macs"]
	}
	return apples.ProfileUUID != want || d.Spec.Listing.AssetTag != apples.AssetTag || d.Labels[mdmv1alpha1.LabelFamily] != apples.Family
}

func (o *organisation) frugal(ctx context.Context) error {
	var calls struct {
		Assignments []depfake.Call `json:"assignments"`
	}
	if err := o.ask(ctx, "/calls", &calls); err != nil {
		return err
	}
	serials := 0
	for _, c := range calls.Assignments {
		serials += len(c.Serials)
	}
	o.Logf("%d calls assigned profiles to %d devices in all", len(calls.Assignments), serials)
	if len(calls.Assignments) > mostCalls {
		return fmt.Errorf("%d calls assigned profiles, %d would do", len(calls.Assignments), mostCalls)
	}
	return nil
}

// idle waits for two syncs in which nothing is written: the Devices of the last changes settle first.
func (o *organisation) idle(ctx context.Context) error {
	return o.Wait(ctx, "two syncs without a write", func(ctx context.Context) (bool, string, error) {
		settled, err := o.versions(ctx)
		if err != nil {
			return false, "", err
		}
		requests, err := o.twoSyncs(ctx)
		if err != nil {
			return false, "", err
		}
		after, err := o.versions(ctx)
		delete(requests, "GET /session") // sessions end after minutes
		return len(requests) == 1 && maps.Equal(settled, after), fmt.Sprintf("Apple was asked %v, objects are unchanged: %t", requests, maps.Equal(settled, after)), err
	})
}

// twoSyncs counts what Apple is asked until it was asked for changes twice.
func (o *organisation) twoSyncs(ctx context.Context) (map[string]int, error) {
	if _, err := o.Portal(ctx, http.MethodDelete, "/requests", nil); err != nil {
		return nil, err
	}
	requests := map[string]int{}
	err := o.Wait(ctx, "two syncs", func(ctx context.Context) (bool, string, error) {
		requests = map[string]int{}
		err := o.ask(ctx, "/requests", &requests)
		return requests["POST /devices/sync"] >= 2, fmt.Sprint(requests), err
	})
	return requests, err
}

// versions are those of the AutomatedEnrollment and of all Devices.
func (o *organisation) versions(ctx context.Context) (map[string]string, error) {
	list := &mdmv1alpha1.DeviceList{}
	business := o.Business()
	if err := errors.Join(o.List(ctx, list, client.InNamespace(o.Namespace)), o.Get(ctx, client.ObjectKeyFromObject(business), business)); err != nil {
		return nil, err
	}
	versions := map[string]string{"": business.ResourceVersion}
	for i := range list.Items {
		versions[list.Items[i].Name] = list.Items[i].ResourceVersion
	}
	return versions, nil
}

func (o *organisation) refuseStranger(ctx context.Context) error {
	stranger, err := o.NewMac(ctx, "STRANGER0001")
	if err != nil {
		return err
	}
	profile, err := o.Portal(ctx, http.MethodGet, "/activation/"+device("Mac", 0).SerialNumber, nil)
	if err != nil {
		return err
	}
	err = stranger.Set(ctx, profile)
	var status *devicesim.StatusError
	if !errors.As(err, &status) || status.Code != http.StatusForbidden {
		return fmt.Errorf("the Mac did not get 403: %w", err)
	}
	return nil
}

func (o *organisation) setUp(ctx context.Context) error {
	serial := device("Mac", 7).SerialNumber
	mac, err := o.NewMac(ctx, serial)
	if err != nil {
		return err
	}
	profile, err := o.Portal(ctx, http.MethodGet, "/activation/"+serial, nil)
	if err != nil {
		return err
	}
	if err := mac.Set(ctx, profile); err != nil {
		return err
	}
	if mac.Configured() {
		return errors.New("the Mac did not wait to be configured")
	}
	err = o.Wait(ctx, "the Mac to be configured", func(ctx context.Context) (bool, string, error) {
		return mac.Configured(), "", mac.Idle(ctx)
	})
	if err != nil {
		return err
	}
	if n := len(mac.Profiles()); n != 2 {
		return fmt.Errorf("the Mac was let out of Setup Assistant with %d profiles, not with its enrolment and %s", n, "first-boot")
	}
	return o.SetUp(ctx, serial)
}
