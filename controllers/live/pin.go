package live

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/convert"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// maxPINs bounds one answer.
const maxPINs = 1000

// eventSource is whom Events are from.
const eventSource = "kubemdm"

// devicePINs reads the PINs of one DeviceCommand.
type devicePINs struct {
	*fleet
	may authorizer.Authorizer
}

var (
	_ rest.Getter               = &devicePINs{}
	_ rest.TableConvertor       = &devicePINs{}
	_ rest.Scoper               = &devicePINs{}
	_ rest.SingularNameProvider = &devicePINs{}
)

// New implements rest.Storage.
func (*devicePINs) New() runtime.Object { return &livev1alpha1.DevicePIN{} }

// Destroy implements rest.Storage.
func (*devicePINs) Destroy() {}

// NamespaceScoped implements rest.Scoper.
func (*devicePINs) NamespaceScoped() bool { return true }

// GetSingularName implements rest.SingularNameProvider.
func (*devicePINs) GetSingularName() string { return "devicepin" }

// Get implements rest.Getter.
func (r *devicePINs) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	key := types.NamespacedName{Namespace: namespaceOf(ctx), Name: name}
	who, err := r.mayReveal(ctx, key)
	if err != nil {
		return nil, err
	}
	command := &mdmv1alpha1.DeviceCommand{}
	err = r.get(ctx, key, command, "devicecommands")
	if err != nil && (!apierrors.IsNotFound(err) || !r.manages(key.Namespace)) {
		return nil, err
	}
	exists := err == nil
	var server types.NamespacedName
	var results []adminapi.ActionResult
	if exists {
		server = types.NamespacedName{Namespace: key.Namespace, Name: command.Spec.ServerRef.Name}
		results, err = r.results(ctx, server, key)
	} else {
		server, results, err = r.search(ctx, key)
	}
	if isUnknown(err) {
		return nil, missing("no MDMServer of the namespace %s knows the DeviceCommand %s: PINs are kept for 90 days", key.Namespace, name)
	}
	if err != nil {
		return nil, err
	}
	out := &livev1alpha1.DevicePIN{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: name}, Server: server.Name}
	if out.PINs, err = r.pins(ctx, server, key, results); err != nil {
		return nil, err
	}
	r.Log.Info("PINs were revealed", "user", who, "namespace", key.Namespace, "deviceCommand", name, "pins", len(out.PINs))
	if exists {
		r.tell(ctx, command, fmt.Sprintf("%s read the PINs of %d devices", who, len(out.PINs)))
	}
	return out, nil
}

// tell makes an Event of the DeviceCommand. It is not made by a recorder, which takes a second reader for the first one again.
func (r *devicePINs) tell(ctx context.Context, command *mdmv1alpha1.DeviceCommand, note string) {
	e := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: command.Namespace, GenerateName: command.Name + "-"},
		EventTime:  metav1.NewMicroTime(r.Clock.Now()), ReportingController: eventSource, ReportingInstance: eventSource,
		Type: corev1.EventTypeNormal, Reason: mdmv1alpha1.DeviceCommandEventPINRevealed, Action: "Reveal", Note: convert.Text(note, maxMessage),
		Regarding: corev1.ObjectReference{
			APIVersion: mdmv1alpha1.GroupVersion.String(), Kind: "DeviceCommand", Namespace: command.Namespace, Name: command.Name, UID: command.UID,
		},
	}
	if err := r.Writer.Create(ctx, e); err != nil {
		r.Log.Error(err, "the Event that tells who read PINs was lost", "namespace", command.Namespace, "deviceCommand", command.Name)
	}
}

// mayReveal asks for the verb that no path shows, and returns the user's name.
func (r *devicePINs) mayReveal(ctx context.Context, key types.NamespacedName) (who string, err error) {
	user, known := genericapirequest.UserFrom(ctx)
	resource := livev1alpha1.GroupVersion.WithResource("devicepins").GroupResource()
	if !known {
		return "", apierrors.NewForbidden(resource, key.Name, errors.New("nobody is known to ask"))
	}
	decision, _, err := r.may.Authorize(ctx, authorizer.AttributesRecord{
		User: user, Verb: livev1alpha1.VerbReveal, Namespace: key.Namespace, Name: key.Name, ResourceRequest: true,
		APIGroup: livev1alpha1.GroupVersion.Group, APIVersion: livev1alpha1.GroupVersion.Version, Resource: "devicepins",
	})
	if decision == authorizer.DecisionAllow {
		return user.GetName(), nil
	}
	if err != nil {
		return "", unavailable("the API server cannot say now whether %q may reveal PINs: %v; try again", user.GetName(), err)
	}
	r.Log.Info("PINs were not revealed", "user", user.GetName(), "namespace", key.Namespace, "deviceCommand", key.Name)
	return "", apierrors.NewForbidden(resource, key.Name, fmt.Errorf("user %q may get devicepins, and lacks the verb %q on them in the namespace %q, which the admin role of KubeMDM has",
		user.GetName(), livev1alpha1.VerbReveal, key.Namespace))
}

// search looks for a command whose object is gone at every server of its namespace.
func (r *devicePINs) search(ctx context.Context, key types.NamespacedName) (types.NamespacedName, []adminapi.ActionResult, error) {
	servers, err := r.servers(ctx, key.Namespace)
	if err != nil {
		return types.NamespacedName{}, nil, err
	}
	var last error = &adminapi.Error{Code: adminapi.CodeNotFound}
	for _, server := range servers {
		results, err := r.results(ctx, server, key)
		if err == nil {
			return server, results, nil
		}
		if !isUnknown(err) {
			last = err // it may be there
		}
	}
	return types.NamespacedName{}, nil, last
}

func (r *devicePINs) results(ctx context.Context, server, key types.NamespacedName) ([]adminapi.ActionResult, error) {
	return ask(ctx, r.fleet, server, askTimeout, func(ctx context.Context, c *adminapi.Client) ([]adminapi.ActionResult, error) {
		return adminapi.All(ctx, func(ctx context.Context, after string, limit int) (*adminapi.Page[adminapi.ActionResult], error) {
			return c.ActionResults(ctx, adminapi.Key(key.String()), after, limit)
		})
	})
}

// pins reads the PINs that were delivered.
func (r *devicePINs) pins(ctx context.Context, server, key types.NamespacedName, results []adminapi.ActionResult) ([]livev1alpha1.PIN, error) {
	pins := []livev1alpha1.PIN{}
	for _, result := range results {
		if !result.HasPIN || result.DeliveredAt.IsZero() || len(pins) == maxPINs {
			continue
		}
		whole, err := ask(ctx, r.fleet, server, askTimeout, func(ctx context.Context, c *adminapi.Client) (*adminapi.ActionResult, error) {
			return c.ActionResult(ctx, adminapi.Key(key.String()), result.DeviceID)
		})
		if isUnknown(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		name, serial, err := r.named(ctx, server, result.DeviceID)
		if err != nil {
			return nil, err
		}
		pins = append(pins, livev1alpha1.PIN{Device: name, DeviceID: result.DeviceID, SerialNumber: serial, PIN: whole.PIN})
	}
	if len(pins) == 0 {
		return nil, missing("the DeviceCommand %s has delivered no PIN: only those of type Lock and Wipe make one, for Macs, and a device has it once the command was delivered", key.Name)
	}
	return pins, nil
}
