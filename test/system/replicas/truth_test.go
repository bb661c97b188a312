package replicas

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/system/harness"
)

const (
	typeList    = "CertificateList"
	typeRestart = "RestartDevice"
	rebootNow   = "RebootNow"
	inactivity  = "./Device/Vendor/MSFT/Policy/Config/DeviceLock/MaxInactivityTimeDeviceLock"
)

// enrolments are those of the Devices by the serial number, if all of them are as they should be.
func (r *replicas) enrolments(ctx context.Context) (map[string]string, string, error) {
	devices := &mdmv1alpha1.DeviceList{}
	if err := r.List(ctx, devices, client.InNamespace(namespace)); err != nil {
		return nil, "", err
	}
	found := map[string]string{}
	for i := range devices.Items {
		d := &devices.Items[i]
		done, missing, err := r.Satisfied(d, mdmv1alpha1.ConditionReady, mdmv1alpha1.DevicePublished, mdmv1alpha1.DeviceEnrolled,
			mdmv1alpha1.DeviceResponding, mdmv1alpha1.DeviceProfilesApplied)(ctx)
		if !done || err != nil {
			return nil, missing, err
		}
		found[d.Status.Hardware.SerialNumber] = d.Status.Enrollment.ID
	}
	return found, fmt.Sprintf("%d of %d Devices", len(found), macs+pcs), nil
}

// allTold waits until every Device tells of its device, and remembers the enrolments.
func (r *replicas) allTold(ctx context.Context) error {
	return r.Wait(ctx, "the Devices", func(ctx context.Context) (bool, string, error) {
		found, missing, err := r.enrolments(ctx)
		r.before = found
		return len(found) == macs+pcs, missing, err
	})
}

// devicesTrue waits until every Device is what it was: nobody has left or enrolled anew.
func (r *replicas) devicesTrue(ctx context.Context) error {
	for _, mac := range r.macs.Devices {
		if !mac.Enrolled() {
			return fmt.Errorf("%s has left", mac.Hardware().SerialNumber)
		}
	}
	for _, pc := range r.pcs {
		if !pc.Enrolled() {
			return fmt.Errorf("%s has left", pc.Hardware().SerialNumber)
		}
	}
	return r.Wait(ctx, "the Devices", func(ctx context.Context) (bool, string, error) {
		found, missing, err := r.enrolments(ctx)
		return maps.Equal(found, r.before), missing, err
	})
}

// resultsOnce waits until every command is over, and compares what it says with what the devices have done.
func (r *replicas) resultsOnce(ctx context.Context) error {
	lists, err := r.ended(ctx, r.flow.lists, macs)
	if err != nil {
		return err
	}
	restarts, err := r.ended(ctx, r.flow.restarts, macs+pcs)
	if err != nil {
		return err
	}
	r.log("%d lists: %+v, %d restarts: %+v", len(r.flow.lists), lists, len(r.flow.restarts), restarts)
	if lists != (mdmv1alpha1.CommandCounts{Succeeded: int32(macs * len(r.flow.lists))}) { //nolint:gosec // small
		return fmt.Errorf("the lists ended as %+v", lists)
	}
	var answered int32
	for _, mac := range r.macs.Devices {
		if n := len(r.flow.lists); once(mac, typeList) != n {
			return fmt.Errorf("%s has not answered %d lists once each: %v", mac.Hardware().SerialNumber, n, mac.Answers())
		}
		n := once(mac, typeRestart)
		if n < 0 || mac.Restarts() > len(r.flow.restarts) {
			return fmt.Errorf("%s was to restart %d times, has restarted %d times and said so %d times", mac.Hardware().SerialNumber, len(r.flow.restarts), mac.Restarts(), n)
		}
		answered += int32(n) //nolint:gosec // small
	}
	for _, pc := range r.pcs {
		n := 0
		for _, a := range pc.Answers() {
			if a.Verb == "Exec" && strings.HasSuffix(a.LocURI, rebootNow) {
				n++
			}
		}
		if n > len(r.flow.restarts) {
			return fmt.Errorf("%s was to restart %d times and has restarted %d times", pc.Hardware().SerialNumber, len(r.flow.restarts), n)
		}
		answered += int32(n) //nolint:gosec // small
	}
	// A restart without an answer is Unconfirmed and is not sent again. That a PC's answer is lost shows here as well: the PC counts it.
	total := int32((macs + pcs) * len(r.flow.restarts)) //nolint:gosec // small
	if restarts.Succeeded+restarts.Unconfirmed != total || restarts.Succeeded > answered || answered-restarts.Succeeded > int32(r.failedRequests()) {
		return fmt.Errorf("of %d restarts %d were answered, and they ended as %+v", total, answered, restarts)
	}
	return nil
}

// ended waits until commands are over for so many devices each, and sums up how.
func (r *replicas) ended(ctx context.Context, names []string, devices int32) (sum mdmv1alpha1.CommandCounts, err error) {
	for _, name := range names {
		command := &mdmv1alpha1.DeviceCommand{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		succeeded := r.Satisfied(command, mdmv1alpha1.DeviceCommandSucceeded)
		if err := r.Wait(ctx, name, succeeded); err != nil {
			return sum, err
		}
		counts := *command.Status.Counts
		if *command.Status.Total != devices || counts.Succeeded+counts.Unconfirmed != devices {
			return sum, fmt.Errorf("%s has %d targets and ended as %+v, not %d of both", name, *command.Status.Total, counts, devices)
		}
		sum.Succeeded += counts.Succeeded
		sum.Unconfirmed += counts.Unconfirmed
	}
	return sum, nil
}

// once counts the commands of a type that a Mac has answered, and is -1 if it has answered one of them twice or not as it should.
func once(mac *devicesim.Device, requestType string) int {
	seen := map[string]bool{}
	for _, a := range mac.Answers() {
		if a.RequestType != requestType {
			continue
		}
		if seen[a.CommandUUID] || a.Status != "Acknowledged" {
			return -1
		}
		seen[a.CommandUUID] = true
	}
	return len(seen)
}

// profilesInstalled waits until both profiles are counted on all devices, which must have their last content.
func (r *replicas) profilesInstalled(ctx context.Context) error {
	if err := errors.Join(r.counted(ctx, harness.ProfileName, macs), r.counted(ctx, harness.CameraProfile, pcs)); err != nil {
		return err
	}
	return r.behind()
}

// behind names a device that does not have the last content of its profile.
func (r *replicas) behind() error {
	identifier := "io.kubemdm." + namespace + "." + harness.ProfileName
	for _, mac := range r.macs.Devices {
		installed := mac.Profiles()[identifier]
		if installed.Profile == nil || fmt.Sprint(installed.Payloads[0].Fields["idleTime"]) != r.flow.idleTime() {
			return fmt.Errorf("%s has %+v, not idleTime %s", mac.Hardware().SerialNumber, installed, r.flow.idleTime())
		}
	}
	for _, pc := range r.pcs {
		if node, _ := pc.Node(inactivity); node.Data != r.flow.inactivity() {
			return fmt.Errorf("%s has %+v, not %s", pc.Hardware().SerialNumber, node, r.flow.inactivity())
		}
	}
	return nil
}

func (r *replicas) counted(ctx context.Context, name string, devices int32) error {
	profile := &mdmv1alpha1.Profile{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	return r.Wait(ctx, "the Profile "+name, func(ctx context.Context) (bool, string, error) {
		done, missing, err := r.Satisfied(profile, mdmv1alpha1.ConditionReady, mdmv1alpha1.ProfileConverged)(ctx)
		if !done || err != nil {
			return false, missing, err
		}
		s := profile.Status
		return *s.Targeted == devices && *s.Installed == devices, fmt.Sprintf("%d of %d installed", *s.Installed, *s.Targeted), nil
	})
}

// failedRequests counts the requests that failed in all steps.
func (r *replicas) failedRequests() int {
	r.traffic.mu.Lock()
	defer r.traffic.mu.Unlock()
	n := 0
	for _, l := range r.traffic.lanes {
		n += l.failed
	}
	return n
}
