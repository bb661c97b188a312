package automatedenrollment

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/convert"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

const (
	// fieldManager owns what Apple says of Devices: each apply replaces what it applied before, so labels that are not wanted any more go.
	fieldManager = "kubemdm-automated-enrollment"
	// atOnce is how many Devices are written before the progress is shown.
	atOnce = 500
	// abreast is how many are written at the same time.
	abreast = 8
	// cacheLag is how long a write may take to come back through the cache.
	cacheLag = 30 * time.Second
	// invalidAgain is the pause before the API server is asked again to take what it did not take.
	invalidAgain = 10 * time.Minute
	// soon is the pause before a pass that goes on with the work of this one.
	soon = time.Second
	// maxFact bounds what Apple says of a device, in bytes.
	maxFact = 256
	// maxLabel bounds the value of a label, in bytes.
	maxLabel = 63
)

// devices makes a Device for each device that Apple lists, keeps what Apple says of it up to date, and marks those that it lists no more.
func (r *Reconciler) devices(ctx context.Context, s *scope, report *loop.Report) error {
	if !s.fresh {
		report.Keep()
		return nil
	}
	known, err := roster.Devices(ctx, r.Client, s.serverKey())
	if err != nil {
		return err
	}
	speakers := speakersOf(known)
	w := &writer{Reconciler: r, scope: s, now: r.Clock.Now()}
	for _, serial := range sortedSerials(s.account.list) {
		if err := w.bring(s.account.list[serial], speakers[serial]); err != nil {
			return err
		}
	}
	left, err := w.mark(known)
	if err != nil {
		return err
	}
	if err := w.write(ctx); err != nil {
		return err
	}
	s.object.Status.Devices = &mdmv1alpha1.AutomatedDevices{Listed: new(int32(len(s.account.list)))}
	if left > 0 {
		r.Events.Eventf(s.object, nil, corev1.EventTypeNormal, mdmv1alpha1.AutomatedEnrollmentEventDevicesLeft, "Reconcile",
			"Apple does not list %d devices any more; their Devices are marked %s=%s and stay", left, mdmv1alpha1.LabelListing, mdmv1alpha1.ListingLeft)
	}
	switch {
	case w.waiting > 0:
		report.Again(soon)
		report.False(mdmv1alpha1.AutomatedEnrollmentSyncing, "%d of %d devices have their Device", len(s.account.list)-w.waiting, len(s.account.list))
		return nil
	case w.refused != "":
		report.False(mdmv1alpha1.AutomatedEnrollmentDeviceRefused, "%s", w.refused)
	default:
		report.True(mdmv1alpha1.ReasonReady, "%d devices are listed", len(s.account.list))
	}
	s.plan = newPlan(s, speakers)
	return nil
}

// speakersOf finds, by serial number, the Device that speaks for it.
func speakersOf(devices []*mdmv1alpha1.Device) map[string]*mdmv1alpha1.Device {
	speakers := map[string]*mdmv1alpha1.Device{}
	for _, d := range devices {
		if serial := d.Spec.SerialNumber; serial != "" && (speakers[serial] == nil || roster.Compare(d, speakers[serial]) < 0) {
			speakers[serial] = d
		}
	}
	return speakers
}

func sortedSerials(list map[string]*listed) []string {
	serials := make([]string, 0, len(list))
	for serial := range list {
		serials = append(serials, serial)
	}
	slices.Sort(serials)
	return serials
}

// writer writes Devices, so many in one pass and no more.
type writer struct {
	*Reconciler
	scope *scope
	now   time.Time
	queue []writing
	// waiting counts the devices whose Device is not as it should be yet.
	waiting int

	mu sync.Mutex
	// refused says why the API server does not take one of them.
	refused string
}

// writing is a Device to write.
type writing struct {
	entry  *listed // nil: Apple does not list it any more
	device *unstructured.Unstructured
}

// bring queues what Apple says of a device for its Device, if that says something else.
func (w *writer) bring(entry *listed, d *mdmv1alpha1.Device) error {
	if d != nil && d.DeletionTimestamp != nil {
		return nil // its successor is made when it is gone
	}
	want := w.listing(entry)
	if elsewhere(d, want) {
		return nil
	}
	labels, err := w.labels(d, want)
	switch {
	case err != nil:
		return err
	case d != nil && asWanted(d, want, labels):
		entry.applied = time.Time{}
		return nil
	}
	if entry.invalid != "" && w.now.Sub(entry.applied) < invalidAgain {
		w.refused = entry.invalid
		return nil
	}
	w.waiting++
	if w.now.Sub(entry.applied) < cacheLag || len(w.queue) >= atOnce {
		return nil
	}
	entry.applied, entry.invalid = w.now, ""
	u, err := w.object(entry.SerialNumber, d, want, labels)
	w.queue = append(w.queue, writing{entry, u})
	return err
}

// elsewhere says whether another AutomatedEnrollment lists the device since a later time: it moved there, and this one is about to hear of it.
func elsewhere(d *mdmv1alpha1.Device, want *mdmv1alpha1.AppleListing) bool {
	if d == nil || d.Spec.Listing == nil {
		return false
	}
	has := d.Spec.Listing
	if has.AutomatedEnrollment == want.AutomatedEnrollment || has.State != mdmv1alpha1.ListingListed {
		return false
	}
	return want.Since.Before(has.Since) || want.Since.Equal(has.Since) && has.AutomatedEnrollment < want.AutomatedEnrollment
}

// mark queues the mark for the Devices of this object that Apple does not list any more, and counts them.
func (w *writer) mark(known []*mdmv1alpha1.Device) (left int, err error) {
	marked := w.scope.account.recent(w.now)
	for _, d := range known {
		listing := d.Spec.Listing
		if listing == nil || listing.AutomatedEnrollment != w.scope.object.Name || listing.State == mdmv1alpha1.ListingLeft || d.DeletionTimestamp != nil ||
			w.scope.account.list[d.Spec.SerialNumber] != nil || !marked[d.Name].IsZero() {
			continue
		}
		gone := *listing
		gone.State, gone.Since = mdmv1alpha1.ListingLeft, new(metav1.NewTime(w.now))
		labels, err := w.labels(d, &gone)
		if err != nil {
			return left, err
		}
		u, err := w.object(d.Spec.SerialNumber, d, &gone, labels)
		if err != nil {
			return left, err
		}
		w.queue = append(w.queue, writing{nil, u})
		marked[d.Name] = w.now
		left++
	}
	return left, nil
}

// listing is what the Device should say of a device that is listed.
func (w *writer) listing(entry *listed) *mdmv1alpha1.AppleListing {
	fact := func(s string) string { return convert.Text(s, maxFact) }
	return &mdmv1alpha1.AppleListing{
		AutomatedEnrollment: w.scope.object.Name, State: mdmv1alpha1.ListingListed, Since: convert.Time(entry.AssignedAt),
		Model: fact(entry.Model), Description: fact(entry.Description), Family: fact(entry.Family), Color: fact(entry.Color), AssetTag: fact(entry.AssetTag),
	}
}

// labels are the labels that the operator gives to a listed Device. One that somebody else has set to another value stays as it is.
func (w *writer) labels(d *mdmv1alpha1.Device, l *mdmv1alpha1.AppleListing) (map[string]any, error) {
	want := map[string]any{
		mdmv1alpha1.LabelAutomatedEnrollment: w.scope.object.Name, mdmv1alpha1.LabelListing: string(l.State),
		mdmv1alpha1.LabelFamily: labelValue(l.Family), mdmv1alpha1.LabelModel: labelValue(l.Model),
	}
	for key, value := range w.scope.object.Spec.DeviceLabels {
		want[key] = value
	}
	if d == nil {
		return want, nil
	}
	_, others, err := roster.LabelOwners(d, fieldManager)
	for key := range want {
		if others[key] && d.Labels[key] != want[key] {
			delete(want, key)
		}
	}
	return want, err
}

var unfit = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// labelValue makes the value of a label of a text.
func labelValue(s string) string {
	s = unfit.ReplaceAllString(s, "-")
	return strings.Trim(s[:min(len(s), maxLabel)], "-._")
}

// asWanted says whether a Device has the listing and exactly these labels of ours.
func asWanted(d *mdmv1alpha1.Device, want *mdmv1alpha1.AppleListing, labels map[string]any) bool {
	if !equality.Semantic.DeepEqual(d.Spec.Listing, want) {
		return false
	}
	mine, _, err := roster.LabelOwners(d, fieldManager)
	delete(mine, mdmv1alpha1.LabelDiscovered)
	return err == nil && roster.Applied(d.Labels, mine, labels)
}

// write writes what is queued, a few at a time.
func (w *writer) write(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(abreast)
	for _, each := range w.queue {
		group.Go(func() error { return w.apply(ctx, each) })
	}
	return group.Wait()
}

func (w *writer) apply(ctx context.Context, each writing) error {
	err := w.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(each.device), client.FieldOwner(fieldManager), client.ForceOwnership)
	switch {
	case err == nil, apierrors.IsConflict(err), apierrors.IsNotFound(err): // gone or new since the cache saw it: the next pass sees it
		return nil
	case apierrors.IsInvalid(err):
		w.mu.Lock()
		defer w.mu.Unlock()
		w.refused = "the API server refuses a Device for something that Apple lists: " + causes(err)
		if each.entry != nil {
			each.entry.invalid = w.refused
			w.waiting--
		}
		return nil
	}
	return fmt.Errorf("writing a Device that Apple lists: %w", err)
}

// causes tells the fields that the API server refuses, without their values: they are serial numbers.
func causes(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return "it is invalid"
	}
	var fields []string
	for _, cause := range status.Status().Details.Causes {
		fields = append(fields, cause.Field)
	}
	return strings.Join(slices.Compact(fields), ", ")
}

// object is a Device that the operator made, or the listing and the labels alone of one that others declared.
func (w *writer) object(serial string, d *mdmv1alpha1.Device, want *mdmv1alpha1.AppleListing, labels map[string]any) (*unstructured.Unstructured, error) {
	listing, err := runtime.DefaultUnstructuredConverter.ToUnstructured(want)
	if err != nil {
		return nil, err
	}
	ours := roster.DiscoveredName(w.scope.object.Spec.ServerRef.Name, adminapi.PlatformApple, serial)
	spec := map[string]any{"listing": listing}
	meta := map[string]any{"namespace": w.scope.object.Namespace, "name": ours}
	all := maps.Clone(labels)
	if d == nil || d.Name == ours {
		spec["serverRef"] = map[string]any{"name": w.scope.object.Spec.ServerRef.Name}
		spec["serialNumber"] = serial
		meta["finalizers"] = []any{mdmv1alpha1.Finalizer}
		if d == nil || roster.Discovered(d) { // a person may have taken it over
			all[mdmv1alpha1.LabelDiscovered] = "true"
		}
	}
	if d != nil {
		meta["name"], meta["uid"] = d.Name, string(d.UID) // one that has gone meanwhile is not made anew
	}
	meta["labels"] = all
	u := &unstructured.Unstructured{Object: map[string]any{"metadata": meta, "spec": spec}}
	u.SetGroupVersionKind(mdmv1alpha1.GroupVersion.WithKind("Device"))
	return u, nil
}
