package diff

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doing"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
	"github.com/kubemdm/kubemdm/internal/selection"
)

// space is a namespace before and after the change.
type space struct {
	name      string
	devices   map[string]*pair[mdmv1alpha1.Device]
	profiles  map[string]*pair[mdmv1alpha1.Profile]
	automated map[string]*pair[mdmv1alpha1.AutomatedEnrollment]
}

// pair is an object before and after; nil: it is not there. change is what the files do to it, if they hold it.
type pair[T any] struct {
	before, after *T
	change        *Change
}

// load reads a namespace. What a person may not read is missing, and noted.
func (o *diff) load(ctx context.Context, s *cli.Session, name string, r *report) (*space, error) {
	n := &space{
		name: name, devices: map[string]*pair[mdmv1alpha1.Device]{}, profiles: map[string]*pair[mdmv1alpha1.Profile]{},
		automated: map[string]*pair[mdmv1alpha1.AutomatedEnrollment]{},
	}
	devices, profiles, automated := &mdmv1alpha1.DeviceList{}, &mdmv1alpha1.ProfileList{}, &mdmv1alpha1.AutomatedEnrollmentList{}
	for _, kind := range []struct {
		list client.ObjectList
		what string
	}{{devices, "devices"}, {profiles, "profiles"}, {automated, "automatedenrollments"}} {
		err := look.All(ctx, o.env, s, kind.list, kind.what, client.InNamespace(name))
		if apierrors.IsForbidden(err) {
			r.Notes = append(r.Notes, fmt.Sprintf("You may not list %s.mdm.kubemdm.io in the namespace %s: what is told of devices leaves them out.", kind.what, name))
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	pairs(n.devices, devices.Items)
	pairs(n.profiles, profiles.Items)
	pairs(n.automated, automated.Items)
	return n, nil
}

func pairs[T any, P interface {
	*T
	client.Object
}](into map[string]*pair[T], items []T) {
	for i := range items {
		into[P(&items[i]).GetName()] = &pair[T]{before: &items[i], after: &items[i]}
	}
}

// take puts what becomes of an object into its place.
func take[T any](into map[string]*pair[T], c *Change) error {
	after := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(c.after.Object, after); err != nil {
		return fmt.Errorf("reading %s/%s: %w", c.Kind, c.Name, err)
	}
	if into[c.Name] == nil {
		into[c.Name] = &pair[T]{}
	}
	into[c.Name].after, into[c.Name].change = after, c
	return nil
}

// change takes the changes of the namespace.
func (n *space) change(all []*Change) error {
	for _, c := range all {
		if c.Namespace != n.name || c.after == nil || c.Name == "" {
			continue
		}
		var err error
		switch c.Kind {
		case "Device":
			err = take(n.devices, c)
		case "Profile":
			err = take(n.profiles, c)
		case "AutomatedEnrollment":
			err = take(n.automated, c)
		}
		if err != nil {
			return err
		}
	}
	n.succeed()
	n.relabel()
	return nil
}

// succeed lets a Device that is declared anew take the place of the one that was discovered, or listed, for the same device: with its labels, and those
// that the operator puts on it.
func (n *space) succeed() {
	for _, p := range n.devices {
		if p.before != nil || p.after == nil || p.after.Labels[mdmv1alpha1.LabelDiscovered] == "true" {
			continue
		}
		other := n.discovered(p.after)
		if other == nil {
			continue
		}
		p.change.note("it takes the place of " + other.before.Name + ", which was discovered; the device is not touched")
		p.after.Status, p.after.Spec.Listing = other.before.Status, other.before.Spec.Listing
		for key, value := range handed(other.before) {
			if _, set := p.after.Labels[key]; !set {
				p.after.Labels = with(p.after.Labels, key, value)
			}
		}
		p.before, other.before, other.after = other.before, nil, nil
	}
}

// discovered is the Device that was made by the operator for the device of a declared one.
func (n *space) discovered(d *mdmv1alpha1.Device) *pair[mdmv1alpha1.Device] {
	for _, other := range n.devices {
		if other.before != nil && other.before.Labels[mdmv1alpha1.LabelDiscovered] == "true" && same(d, other.before) {
			return other
		}
	}
	return nil
}

// same says whether a declared Device is the device of another one.
func same(d, other *mdmv1alpha1.Device) bool {
	udid := other.Spec.UDID
	if h := other.Status.Hardware; h != nil && h.UDID != "" {
		udid = h.UDID
	}
	return d.Spec.ServerRef == other.Spec.ServerRef &&
		(d.Spec.SerialNumber != "" && d.Spec.SerialNumber == look.Serial(other) || d.Spec.SerialNumber == "" && d.Spec.UDID != "" && d.Spec.UDID == udid)
}

// handed are the labels of a Device that the operator puts on it for a token or an AutomatedEnrollment.
func handed(d *mdmv1alpha1.Device) map[string]string {
	all := map[string]string{}
	for _, entry := range d.ManagedFields {
		if !strings.HasPrefix(entry.Manager, operator) {
			continue
		}
		mine, _ := owned([]metav1.ManagedFieldsEntry{entry}, entry.Manager)
		for key, value := range d.Labels {
			if key != mdmv1alpha1.LabelDiscovered && has(mine, []string{"metadata", "labels", key}) {
				all[key] = value
			}
		}
	}
	return all
}

// relabel follows spec.deviceLabels of AutomatedEnrollments: the operator puts them on listed Devices, but for those that somebody else has set.
func (n *space) relabel() {
	for name, p := range n.automated {
		if p.after == nil || p.change == nil || p.change.State == Unchanged {
			continue
		}
		var old map[string]string
		if p.before != nil {
			old = p.before.Spec.DeviceLabels
		}
		for _, d := range n.devices {
			if !listedBy(d.after, name) {
				continue
			}
			after := d.after.DeepCopy()
			for key, value := range old {
				if after.Labels[key] == value {
					delete(after.Labels, key)
				}
			}
			for key, value := range p.after.Spec.DeviceLabels {
				if _, taken := after.Labels[key]; !taken {
					after.Labels = with(after.Labels, key, value)
				}
			}
			d.after = after
		}
	}
}

func with(all map[string]string, key, value string) map[string]string {
	all = maps.Clone(all)
	if all == nil {
		all = map[string]string{}
	}
	all[key] = value
	return all
}

// listedBy says whether Apple lists a Device for an AutomatedEnrollment now.
func listedBy(d *mdmv1alpha1.Device, name string) bool {
	return d != nil && d.Spec.Listing != nil && d.Spec.Listing.AutomatedEnrollment == name && d.Spec.Listing.State == mdmv1alpha1.ListingListed
}

// member says whether a Device counts for Profiles: it speaks for a device that is enrolled.
func member(d *mdmv1alpha1.Device) bool {
	return d != nil && d.DeletionTimestamp == nil && !selection.Paused(d) && doing.Enrolled(d) &&
		!meta.IsStatusConditionFalse(d.Status.Conditions, mdmv1alpha1.DeviceMatched)
}

// selectedBy says whether a Profile is for a Device, which may be nil.
func selectedBy(selects selection.Selector, server string, d *mdmv1alpha1.Device) bool {
	return d != nil && selects != nil && d.Spec.ServerRef.Name == server && selects(d.Status.Platform, labels.Set(d.Labels))
}

// names of the Devices, in order.
func (n *space) deviceNames() []string { return slices.Sorted(maps.Keys(n.devices)) }
