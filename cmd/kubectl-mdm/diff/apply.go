package diff

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doing"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/manifest"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/schema"
)

// operator is what the names of the operator's field managers begin with.
const operator = "kubemdm-"

// changes asks for each object what would become of it.
func (o *diff) changes(ctx context.Context, s *cli.Session, set *manifest.Set, r *report) error {
	progress := &look.Progress{Env: o.env}
	defer progress.End()
	asking := true
	for i, object := range set.Objects {
		progress.Say("Comparing objects: %d of %d", i, len(set.Objects))
		c := &Change{File: object.File, Line: object.Line, Kind: object.GetKind(), Namespace: object.GetNamespace(), Name: object.GetName()}
		r.Changes = append(r.Changes, c)
		if c.Namespace == "" {
			c.Namespace = s.Namespace
			object.SetNamespace(c.Namespace)
		}
		delete(object.Object, "status")
		offline, err := o.compare(ctx, s, object, c)
		if err != nil {
			return fmt.Errorf("comparing %s/%s: %w", c.Kind, c.Name, err)
		}
		if offline && asking {
			asking = false
			r.Notes = append(r.Notes, "You may not apply all of this, so the schema in this plugin judged in place of the API server, without its webhooks and policies.")
		}
	}
	return nil
}

// compare sets what would become of an object. offline says that the API server was not asked, since the person may not apply it.
func (o *diff) compare(ctx context.Context, s *cli.Session, object *manifest.Object, c *Change) (offline bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, doing.Deadline)
	defer cancel()
	if object.GetName() != "" {
		if c.before, err = current(ctx, s, object); err != nil {
			return false, err
		}
	}
	c.after, err = o.dryRun(ctx, s, object.Unstructured, c.before)
	if rightMissing(err) {
		offline = true
		c.after, err = judge(ctx, object.Unstructured, c.before, o.applier(c.before))
	}
	var refused *refusal
	if errors.As(err, &refused) {
		c.State, c.Message, c.after = Refused, refused.message, nil
		return offline, nil
	}
	if err != nil {
		return offline, err
	}
	if c.before == nil {
		c.State = New
		return offline, nil
	}
	if status, has := c.before.Object["status"]; has {
		c.after.Object["status"] = status
	}
	c.State, c.Fields = Unchanged, fields(c.before, c.after)
	if len(c.Fields) > 0 {
		c.State = Changed
	}
	return offline, nil
}

// current is the object in the cluster: nil if there is none.
func current(ctx context.Context, s *cli.Session, object *manifest.Object) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(object.GroupVersionKind())
	err := s.Get(ctx, client.ObjectKeyFromObject(object), u)
	if doing.Absent(err) {
		return nil, nil
	}
	return u, err
}

// refusal is that an object would not be taken.
type refusal struct{ message string }

func (r *refusal) Error() string { return r.message }

// dryRun asks the API server what would become of an object.
func (o *diff) dryRun(ctx context.Context, s *cli.Session, object, before *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	u := object.DeepCopy()
	var err error
	if u.GetName() == "" {
		err = s.Create(ctx, u, client.DryRunAll, client.FieldOwner(o.applier(before)))
	} else {
		err = s.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.DryRunAll, client.ForceOwnership, client.FieldOwner(o.applier(before)))
	}
	if err == nil {
		return u, nil
	}
	told, denied := doing.Denied(err)
	switch {
	case denied:
		return nil, &refusal{told}
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsConflict(err), typed(err):
		return nil, &refusal{err.Error()}
	case doing.Absent(err): // the namespace
		return nil, &refusal{err.Error()}
	}
	return nil, err
}

// typed says whether the API server could not read an object by its schema, which it calls an internal error.
func typed(err error) bool {
	return apierrors.IsInternalError(err) && strings.Contains(err.Error(), "failed to create typed patch object")
}

// rightMissing says whether a person lacks the right to apply. What a policy refuses is a refusal already.
func rightMissing(err error) bool { return apierrors.IsForbidden(err) }

// applier is the field manager that applies an object: the one that was named, or else the last one that has applied it and is not the operator.
func (o *diff) applier(before *unstructured.Unstructured) string {
	name := cli.FieldManager
	if o.manager != "" || before == nil {
		if o.manager != "" {
			name = o.manager
		}
		return name
	}
	var last *metav1.Time
	for _, entry := range before.GetManagedFields() {
		applies := entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == "" && !strings.HasPrefix(entry.Manager, operator)
		if applies && (last == nil || last.Before(entry.Time)) {
			name, last = entry.Manager, entry.Time
		}
	}
	return name
}

// judge says by the schema of this plugin what would become of an object.
func judge(ctx context.Context, object, before *unstructured.Unstructured, applier string) (*unstructured.Unstructured, error) {
	if !schema.Known(object.GetKind()) {
		return nil, &refusal{fmt.Sprintf("no kind %s in this version of KubeMDM", object.GetKind())}
	}
	// The manifest is judged for what it says, then, with all that stays beside it, for what it changes.
	after := object.DeepCopy()
	faults, err := schema.Check(ctx, after, nil)
	if err == nil && len(faults) == 0 && before != nil {
		after = overlay(before, after, applier)
		was := before.DeepCopy()
		delete(was.Object, "status")
		faults, err = schema.Check(ctx, after, was)
	}
	if err != nil || len(faults) == 0 {
		return after, err
	}
	texts := make([]string, 0, len(faults))
	for _, f := range faults {
		texts = append(texts, f.String())
	}
	return nil, &refusal{strings.Join(texts, "; ")}
}
