package lint

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/manifest"
)

// one is an object of the set with its type.
type one struct {
	*manifest.Object
	typed client.Object
}

// together are the sound objects of a set.
type together struct {
	*lint
	all []one
	// named finds an object by kind, namespace and name.
	named map[string]one
}

// together compares objects with each other.
func (o *lint) together(objects []*manifest.Object) error {
	t := &together{lint: o, named: map[string]one{}}
	for _, object := range objects {
		typed, err := cli.Scheme.New(mdmv1alpha1.GroupVersion.WithKind(object.GetKind()))
		if err != nil {
			return err
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, typed); err != nil {
			return fmt.Errorf("reading %s in %s: %w", nameOf(object), object.File, err)
		}
		t.add(one{object, typed.(client.Object)})
	}
	claims := claims{lint: o, first: map[string]one{}}
	for _, object := range t.all {
		t.references(object)
		claims.add(object)
	}
	return nil
}

func (t *together) add(object one) {
	if object.GetName() != "" {
		key := key(object.GetKind(), object.GetNamespace(), object.GetName())
		if first, twice := t.named[key]; twice {
			t.contradiction(object.Object, "metadata.name", "the same object stands in "+first.place())
			return
		}
		t.named[key] = object
	}
	t.all = append(t.all, object)
}

func (o one) place() string { return fmt.Sprintf("%s:%d", o.File, o.Line) }

func key(kind, namespace, name string) string { return kind + "/" + namespace + "/" + name }

// refer returns the object that a field names, or warns that it is not among the files.
func (t *together) refer(from one, field, kind string, ref *mdmv1alpha1.LocalReference) client.Object {
	if ref == nil {
		return nil
	}
	if found, ok := t.named[key(kind, from.GetNamespace(), ref.Name)]; ok {
		return found.typed
	}
	t.warn(from.Object, field, fmt.Sprintf("no %s %s is among these files", kind, ref.Name))
	return nil
}

// references follows what an object refers to. Secrets and ConfigMaps are not looked for: they often come another way.
func (t *together) references(object one) {
	switch o := object.typed.(type) {
	case *mdmv1alpha1.MDMServer:
		t.refer(object, "spec.apple.apnsCertificateRef.name", "APNSCertificate", o.APNSCertificate())
	case *mdmv1alpha1.Profile:
		t.serves(object, &o.Spec.ServerRef, "spec", o.Spec.Platform())
	case *mdmv1alpha1.EnrollmentToken:
		t.serves(object, &o.Spec.ServerRef, "spec.platforms", o.Spec.Platforms...)
		t.token(object, o)
	case *mdmv1alpha1.AutomatedEnrollment:
		t.serves(object, &o.Spec.ServerRef, "spec.serverRef.name", mdmv1alpha1.PlatformApple)
	case *mdmv1alpha1.Device:
		t.refer(object, "spec.serverRef.name", "MDMServer", &o.Spec.ServerRef)
	case *mdmv1alpha1.DeviceCommand:
		t.refer(object, "spec.serverRef.name", "MDMServer", &o.Spec.ServerRef)
		t.command(object, o)
	}
}

// serves checks that a server serves platforms.
func (t *together) serves(object one, ref *mdmv1alpha1.LocalReference, field string, platforms ...mdmv1alpha1.Platform) {
	server, found := t.refer(object, "spec.serverRef.name", "MDMServer", ref).(*mdmv1alpha1.MDMServer)
	if !found {
		return
	}
	for _, platform := range platforms {
		section, missing := "apple", server.Spec.Apple == nil
		if platform == mdmv1alpha1.PlatformWindows {
			section, missing = "windows", server.Spec.Windows == nil
		}
		if missing {
			t.contradiction(object.Object, field, fmt.Sprintf("the MDMServer %s serves no %s devices: it has no spec.%s", server.Name, platform, section))
		}
	}
}

func (t *together) token(object one, o *mdmv1alpha1.EnrollmentToken) {
	const field = "spec.deviceRef.name"
	device, found := t.refer(object, field, "Device", o.Spec.DeviceRef).(*mdmv1alpha1.Device)
	switch {
	case !found:
	case device.Spec.ServerRef != o.Spec.ServerRef:
		t.contradiction(object.Object, field, fmt.Sprintf("the Device %s belongs to the MDMServer %s", device.Name, device.Spec.ServerRef.Name))
	case device.Spec.SerialNumber == "" && device.Spec.UDID == "":
		t.contradiction(object.Object, field, fmt.Sprintf("the Device %s has neither serialNumber nor udid to bind the token to", device.Name))
	}
}

func (t *together) command(object one, o *mdmv1alpha1.DeviceCommand) {
	const field = "spec.target.deviceRef.name"
	device, found := t.refer(object, field, "Device", o.Spec.Target.DeviceRef).(*mdmv1alpha1.Device)
	switch wipe := o.Spec.Action.Wipe; {
	case !found:
	case device.Spec.ServerRef != o.Spec.ServerRef:
		t.contradiction(object.Object, field, fmt.Sprintf("the Device %s belongs to the MDMServer %s", device.Name, device.Spec.ServerRef.Name))
	case wipe != nil && device.Spec.SerialNumber != "" && device.Spec.SerialNumber != wipe.SerialNumber:
		t.contradiction(object.Object, "spec.action.wipe.serialNumber", fmt.Sprintf("the Device %s has the serial number %s", device.Name, device.Spec.SerialNumber))
	}
}
