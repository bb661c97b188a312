package migratestore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doing"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// onlyStopped is part of what the API server says of a change of the storage that is well in everything else.
const onlyStopped = "only while replicas is 0"

// checkAll looks at everything before anything stops, so that a person corrects it all at once.
func (m *move) checkAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, doing.Deadline)
	defer cancel()
	m.before = m.stoppedWith()
	wrong, err := m.checkRights(ctx)
	if err != nil {
		return err
	}
	if len(wrong) == 0 { // or else not all can be looked at
		for _, check := range []func(context.Context) ([]string, error){m.checkServer, m.checkDatabase, m.checkAPI} {
			found, err := check(ctx)
			if err != nil {
				return err
			}
			wrong = append(wrong, found...)
		}
	}
	if len(wrong) > 0 {
		return errors.New("nothing was done, because\n- " + strings.Join(wrong, "\n- "))
	}
	return nil
}

// right is one that the command needs.
type right struct {
	group, resource, name string
	verbs                 []string
}

func (r right) String() string {
	if r.group == "" {
		return r.resource
	}
	return r.resource + "." + r.group
}

// checkRights asks the API server for all rights that the whole way needs: half of it would leave the server stopped.
func (m *move) checkRights(ctx context.Context) ([]string, error) {
	wanted := []right{
		{mdmv1alpha1.GroupVersion.Group, "mdmservers", m.server.Name, []string{"watch", "patch"}},
		{"apps", "statefulsets", m.server.Name, []string{"get"}},
		{"batch", "jobs", "", []string{"create", "get", "watch", "delete"}},
		{"", "pods", "", []string{"list"}},
		{"", "pods/log", "", []string{"get"}},
		{"", "secrets", m.secret, []string{"get"}},
	}
	if m.caSecret != "" {
		wanted = append(wanted, right{"", "secrets", m.caSecret, []string{"get"}})
	}
	if m.caConfigMap != "" {
		wanted = append(wanted, right{"", "configmaps", m.caConfigMap, []string{"get"}})
	}
	var missing []string
	for _, w := range wanted {
		for _, verb := range w.verbs {
			allowed, err := m.may(ctx, w, verb)
			if err != nil {
				return nil, err
			}
			if !allowed {
				missing = append(missing, fmt.Sprintf("you lack the right to %s %s in the namespace %s: ask for it, or ask somebody who has it", verb, w, m.session.Namespace))
			}
		}
	}
	return missing, nil
}

func (m *move) may(ctx context.Context, r right, verb string) (bool, error) {
	resource, sub, _ := strings.Cut(r.resource, "/")
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
		Namespace: m.session.Namespace, Verb: verb, Group: r.group, Resource: resource, Subresource: sub, Name: r.name,
	}}}
	if err := m.session.Create(ctx, review); err != nil {
		return false, fmt.Errorf("asking what you may do: %w", err)
	}
	return review.Status.Allowed, nil
}

// checkServer finds the StatefulSet, whose pod the Job takes after.
func (m *move) checkServer(ctx context.Context) ([]string, error) {
	if m.server.Annotations[mdmv1alpha1.AnnotationPaused] == "true" {
		return []string{fmt.Sprintf("%s is paused: take the annotation %s off, or the operator does nothing", m.server.Name, mdmv1alpha1.AnnotationPaused)}, nil
	}
	m.set = &appsv1.StatefulSet{}
	there, err := m.get(ctx, m.server.Name, m.set)
	if err != nil || !there {
		return none(err, "there is no StatefulSet %s, so the server has never run: set spec.storage of the MDMServer yourself, nothing is stored yet", m.server.Name)
	}
	_, wrong := m.pod()
	return words(wrong), nil
}

// words are those of an error, if it is one.
func words(err error) []string {
	if err == nil {
		return nil
	}
	return []string{err.Error()}
}

// checkDatabase looks at what says how to reach the database. Whether that is right only the database knows: the Job asks it.
func (m *move) checkDatabase(ctx context.Context) ([]string, error) {
	secret := &corev1.Secret{}
	there, err := m.get(ctx, m.secret, secret)
	if err != nil || !there {
		return none(err, `there is no Secret %s in the namespace %s: create it with "uri", or with "host", "user", "password" and "dbname"`, m.secret, m.session.Namespace)
	}
	m.secretVersion = secret.ResourceVersion
	wrong := lacks(secret)
	switch {
	case m.caSecret != "":
		ca := &corev1.Secret{}
		there, err = m.get(ctx, m.caSecret, ca)
		there = there && len(ca.Data[m.caKey]) > 0
	case m.caConfigMap != "":
		ca := &corev1.ConfigMap{}
		there, err = m.get(ctx, m.caConfigMap, ca)
		there = there && ca.Data[m.caKey] != ""
	}
	if err != nil || !there {
		absent, err := none(err, "there is no key %s in the %s with the CA of the database: create it, or correct --ca-key", m.caKey, m.authority())
		return append(wrong, absent...), err
	}
	return wrong, nil
}

// lacks says what a Secret of a database has not.
func lacks(secret *corev1.Secret) []string {
	has := func(keys ...string) bool {
		return slices.ContainsFunc(keys, func(key string) bool { return len(secret.Data[key]) > 0 })
	}
	if has(serverconfig.DatabaseURIFile) {
		return nil
	}
	var missing []string
	for _, keys := range [][]string{
		{serverconfig.DatabaseHostFile}, {serverconfig.DatabaseUserFile, serverconfig.DatabaseUsernameFile}, {serverconfig.DatabaseNameFile, serverconfig.DatabaseOtherNameFile},
	} {
		if !has(keys...) {
			missing = append(missing, fmt.Sprintf("the Secret %s lacks %s: add it, or a whole %s", secret.Name, strings.Join(keys, " or "), serverconfig.DatabaseURIFile))
		}
	}
	return missing
}

// checkAPI has the API server judge the change that comes in the end. That the server must be stopped first is what this command is for.
func (m *move) checkAPI(ctx context.Context) ([]string, error) {
	err := m.patch(ctx, m.switched(m.after()), client.DryRunAll)
	message, denied := doing.Denied(err)
	switch {
	case err == nil:
		return nil, nil
	case denied:
		return []string{message}, nil
	case apierrors.IsBadRequest(err), unknownType(err): // an unknown field is a bad request
		return []string{"the KubeMDM of this cluster does not know storage in PostgreSQL: upgrade it, its CRDs first (" + err.Error() + ")"}, nil
	case apierrors.IsInvalid(err):
		return complaints(err), nil
	}
	return nil, fmt.Errorf("trying the change of spec.storage: %w", err)
}

// unknownType says whether the type of the storage is none that the API server knows.
func unknownType(err error) bool {
	return slices.ContainsFunc(causes(err), func(c string) bool { return strings.Contains(c, "Unsupported value") })
}

// complaints are what the API server says of a change, other than that the server must be stopped.
func complaints(err error) []string {
	return slices.DeleteFunc(causes(err), func(c string) bool { return strings.Contains(c, onlyStopped) })
}

func causes(err error) []string {
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	var all []string
	for _, c := range status.Status().Details.Causes {
		all = append(all, c.Field+": "+c.Message)
	}
	return all
}

// get reads an object of the namespace and says whether it is there.
func (m *move) get(ctx context.Context, name string, into client.Object) (bool, error) {
	err := m.session.Get(ctx, client.ObjectKey{Namespace: m.session.Namespace, Name: name}, into)
	if doing.Absent(err) {
		return false, nil
	}
	return err == nil, err
}

// none says what is not there.
func none(err error, format string, args ...any) ([]string, error) {
	if err != nil {
		return nil, err
	}
	return []string{fmt.Sprintf(format, args...)}, nil
}
