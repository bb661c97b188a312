package live

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/registry/rest"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/convert"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// deviceReports reads one device at its server.
type deviceReports struct{ *fleet }

var (
	_ rest.Getter               = &deviceReports{}
	_ rest.TableConvertor       = &deviceReports{}
	_ rest.Scoper               = &deviceReports{}
	_ rest.SingularNameProvider = &deviceReports{}
)

// New implements rest.Storage.
func (*deviceReports) New() runtime.Object { return &livev1alpha1.DeviceReport{} }

// Destroy implements rest.Storage.
func (*deviceReports) Destroy() {}

// NamespaceScoped implements rest.Scoper.
func (*deviceReports) NamespaceScoped() bool { return true }

// GetSingularName implements rest.SingularNameProvider.
func (*deviceReports) GetSingularName() string { return "devicereport" }

// Get implements rest.Getter.
func (r *deviceReports) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	d, detail, err := r.detail(ctx, types.NamespacedName{Namespace: namespaceOf(ctx), Name: name})
	if err != nil {
		return nil, err
	}
	now := r.Clock.Now()
	known := &detail.Device
	report := &livev1alpha1.DeviceReport{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: d.Name, CreationTimestamp: d.CreationTimestamp},
		Server:     d.Spec.ServerRef.Name, Platform: string(known.Platform),
		SerialNumber: known.SerialNumber, UDID: known.UDID, DeviceID: known.ID,
		State: string(known.State), Message: attention(known), EnrollmentID: known.EnrollmentID,
		LastSeen: convert.Time(known.LastSeen), Responding: known.Responding,
	}
	for _, s := range detail.Artifacts {
		report.Profiles = append(report.Profiles, profileState(s, now))
	}
	for _, e := range detail.History[:min(len(detail.History), adminapi.MaxHistory)] {
		report.History = append(report.History, historyEntry(e))
	}
	return report, nil
}

// detail reads a Device and what its server knows of the device.
func (f *fleet) detail(ctx context.Context, key types.NamespacedName) (*mdmv1alpha1.Device, *adminapi.DeviceDetail, error) {
	d := &mdmv1alpha1.Device{}
	if err := f.get(ctx, key, d, "devices"); err != nil {
		return nil, nil, err
	}
	server := serverOf(d)
	for _, id := range deviceIDs(d) {
		detail, err := ask(ctx, f, server, askTimeout, func(ctx context.Context, c *adminapi.Client) (*adminapi.DeviceDetail, error) {
			return c.DeviceDetail(ctx, id)
		})
		if isUnknown(err) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if serial := detail.Device.SerialNumber; d.Spec.SerialNumber == "" || serial == "" || serial == d.Spec.SerialNumber {
			return d, detail, nil
		}
	}
	if d.Status.Enrollment != nil {
		return nil, nil, conflict("the MDMServer %s does not know the enrolment of the Device %s any more: it has forgotten it, or its store was restored. "+
			"See the conditions of the Device (kubectl describe device %s)", server.Name, d.Name, d.Name)
	}
	return nil, nil, conflict("the Device %s has not enrolled at the MDMServer %s yet, so there is nothing to report: enrol it with an EnrollmentToken", d.Name, server.Name)
}

func serverOf(d *mdmv1alpha1.Device) types.NamespacedName {
	return types.NamespacedName{Namespace: d.Namespace, Name: d.Spec.ServerRef.Name}
}

// deviceIDs are the ids by which the server may know a device: what it said itself comes first.
func deviceIDs(d *mdmv1alpha1.Device) []string {
	ids := []string{d.Spec.UDID, d.Spec.EnrollmentID}
	if h := d.Status.Hardware; h != nil && h.UDID != d.Spec.UDID {
		ids = append([]string{h.UDID}, ids...)
	}
	return slices.DeleteFunc(ids, func(id string) bool { return id == "" })
}

// devicePushes wakes one device.
type devicePushes struct{ *fleet }

var _ rest.NamedCreater = &devicePushes{}

// New implements rest.Storage.
func (*devicePushes) New() runtime.Object { return &livev1alpha1.DevicePush{} }

// Destroy implements rest.Storage.
func (*devicePushes) Destroy() {}

// Create implements rest.NamedCreater.
func (r *devicePushes) Create(ctx context.Context, name string, _ runtime.Object, _ rest.ValidateObjectFunc, opts *metav1.CreateOptions) (runtime.Object, error) {
	d, detail, err := r.detail(ctx, types.NamespacedName{Namespace: namespaceOf(ctx), Name: name})
	if err != nil {
		return nil, err
	}
	if detail.Device.State != adminapi.DeviceEnrolled {
		return nil, conflict("the Device %s cannot be woken: %s", d.Name, attention(&detail.Device))
	}
	push := &livev1alpha1.DevicePush{ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: d.Name}}
	if isDryRun(opts) {
		return push, nil
	}
	_, err = ask(ctx, r.fleet, serverOf(d), askTimeout, func(ctx context.Context, c *adminapi.Client) (struct{}, error) {
		return struct{}{}, c.Push(ctx, []string{detail.Device.ID})
	})
	if isUnknown(err) {
		err = conflict("the Device %s cannot be woken: its enrolment has just ended", d.Name)
	}
	return push, err
}

func isDryRun(opts *metav1.CreateOptions) bool {
	return opts != nil && slices.Contains(opts.DryRun, metav1.DryRunAll)
}
