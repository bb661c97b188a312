package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/applepki"
	"github.com/kubemdm/kubemdm/test/depfake"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

// Names of what the walk makes for Automated Device Enrollment.
const (
	BusinessName = "business"
	tokenName    = "business-token"
	tokenKey     = "token.p7m"
	firstBoot    = "first-boot"
	newSerial    = "NEW000000001"
)

// BusinessStep is the step to an organisation at Apple whose token is in use: what a person does who follows status.nextStep.
func (w *Walk) BusinessStep() Step {
	return Step{"the server token of the organisation's Apple Business Manager is in use", w.business}
}

func (w *Walk) business(ctx context.Context) error {
	if err := w.certify(ctx, "depfake", w.Apple.RootPEM()); err != nil {
		return err
	}
	for _, file := range []string{"depfake.yaml", "ade.yaml"} {
		if err := w.ApplyFile(ctx, w.Namespace, file, nil); err != nil {
			return err
		}
	}
	business := w.Business()
	if err := w.Wait(ctx, "the public key", w.Satisfied(business, mdmv1alpha1.AutomatedEnrollmentKeyReady)); err != nil {
		return err
	}
	var p7m []byte
	err := w.Wait(ctx, "the portal", func(ctx context.Context) (done bool, missing string, err error) {
		p7m, err = w.Portal(ctx, http.MethodPost, "/upload", []byte(business.Status.PublicKeyCertificate))
		return err == nil, "", err
	})
	if err != nil {
		return err
	}
	if err := w.Create(ctx, &corev1.Secret{ObjectMeta: w.meta(tokenName), Data: map[string][]byte{tokenKey: p7m}}); err != nil {
		return err
	}
	patch := fmt.Sprintf(`{"spec": {"tokenSecretRef": {"name": %q, "key": %q}}}`, tokenName, tokenKey)
	if err := w.Patch(ctx, business, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		return err
	}
	return w.Wait(ctx, "the token", w.Satisfied(business, mdmv1alpha1.ConditionReady))
}

// Business is the organisation's AutomatedEnrollment, as it is to be read.
func (w *Walk) Business() *mdmv1alpha1.AutomatedEnrollment {
	return &mdmv1alpha1.AutomatedEnrollment{ObjectMeta: w.meta(BusinessName)}
}

// Portal calls the control endpoint of the stand-in for Apple's enrolment service (depfake.Usage), by way of the API server.
func (w *Walk) Portal(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	return w.control(ctx, "depfake", method, path, body)
}

// control calls the control endpoint of a stand-in for a service of Apple's, by way of the API server.
func (w *Walk) control(ctx context.Context, service, method, path string, body []byte) ([]byte, error) {
	return w.Typed.CoreV1().RESTClient().Verb(method).Namespace(w.Namespace).Resource("services").Name("http:"+service+":control").SubResource("proxy").
		Suffix(path).SetHeader("Content-Type", "application/json").Body(body).Do(ctx).Raw()
}

// Buy has Apple list devices for the organisation's server.
func (w *Walk) Buy(ctx context.Context, devices ...depfake.Device) error {
	body, err := json.Marshal(devices)
	if err != nil {
		return err
	}
	_, err = w.Portal(ctx, http.MethodPost, "/devices", body)
	return err
}

// unpack buys a Mac and switches it on when it has its profile at Apple. It must be let out of Setup Assistant with what it should have.
func (w *Walk) unpack(ctx context.Context) error {
	if err := w.Buy(ctx, depfake.Device{SerialNumber: newSerial, Model: "MacBook Air 13", Family: "Mac", OS: "OSX", AssetTag: "A-0001"}); err != nil {
		return err
	}
	business := w.Business()
	ready := w.Satisfied(business, mdmv1alpha1.ConditionReady)
	err := w.Wait(ctx, "the Mac to be listed and assigned", func(ctx context.Context) (bool, string, error) {
		done, missing, err := ready(ctx)
		counted := business.Status.Devices
		return done && counted != nil && *counted.Listed == 1 && *counted.Assigned == 1, missing, err
	})
	if err != nil {
		return err
	}
	if err := w.ApplyFile(ctx, w.Namespace, "new-macs.yaml", nil); err != nil {
		return err
	}
	if err := w.SetUp(ctx, newSerial); err != nil {
		return err
	}
	return w.converged(ctx, firstBoot, 1)
}

// SetUp waits until a device that the organisation bought is enrolled and was let out of Setup Assistant.
func (w *Walk) SetUp(ctx context.Context, serial string) error {
	return w.Wait(ctx, "the Mac to be set up", func(ctx context.Context) (bool, string, error) {
		devices := &mdmv1alpha1.DeviceList{}
		if err := w.List(ctx, devices, client.InNamespace(w.Namespace), client.MatchingLabels{mdmv1alpha1.LabelAutomatedEnrollment: BusinessName}); err != nil {
			return false, "", err
		}
		for i := range devices.Items {
			d := &devices.Items[i]
			if d.Spec.SerialNumber != serial {
				continue
			}
			done, missing, err := w.Satisfied(d, mdmv1alpha1.DeviceEnrolled, mdmv1alpha1.DeviceConfigured)(ctx)
			if done && (d.Status.Enrollment.AutomatedEnrollment != BusinessName || d.Labels["bought-by"] != "organisation") {
				return false, "", fmt.Errorf("the Mac enrolled as %+v with the labels %v", d.Status.Enrollment, d.Labels)
			}
			return done, missing, err
		}
		return false, "no Device has its serial number", nil
	})
}

// NewMac is a simulated Mac in this process that is in Setup Assistant. It works on the cluster's node only.
type NewMac struct {
	*devicesim.Device
	identity *applepki.DeviceIdentity
}

// NewMac unpacks a Mac with a serial number.
func (w *Walk) NewMac(ctx context.Context, serial string) (*NewMac, error) {
	network, err := w.network(ctx)
	if err != nil {
		return nil, err
	}
	hardware := devicesim.Mac("NEW", 1)
	hardware.SerialNumber = serial
	identity, err := w.Devices.Issue(hardware.UDID, applepki.DeviceOptions{})
	if err != nil {
		return nil, err
	}
	mac, err := devicesim.New(devicesim.Options{Hardware: hardware, Client: network.client()})
	return &NewMac{mac, identity}, err
}

// Set goes through Setup Assistant with the profile that Apple gave, as far as to the wait for its configuration.
func (m *NewMac) Set(ctx context.Context, profile []byte) error {
	return m.EnrollAutomated(ctx, devicesim.SetupAssistant{Profile: profile, Identity: m.identity})
}
