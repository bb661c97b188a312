package live

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/liveimport"
)

// enrollmentImports hands enrolments of another server to one of ours.
type enrollmentImports struct{ *fleet }

var (
	_ rest.Creater              = &enrollmentImports{}
	_ rest.TableConvertor       = &enrollmentImports{}
	_ rest.Scoper               = &enrollmentImports{}
	_ rest.SingularNameProvider = &enrollmentImports{}
)

// New implements rest.Storage.
func (*enrollmentImports) New() runtime.Object { return &livev1alpha1.EnrollmentImport{} }

// Destroy implements rest.Storage.
func (*enrollmentImports) Destroy() {}

// NamespaceScoped implements rest.Scoper.
func (*enrollmentImports) NamespaceScoped() bool { return true }

// GetSingularName implements rest.SingularNameProvider.
func (*enrollmentImports) GetSingularName() string { return "enrollmentimport" }

// Create implements rest.Creater. The answer has the results, and none of the secrets that came.
func (r *enrollmentImports) Create(ctx context.Context, obj runtime.Object, _ rest.ValidateObjectFunc, opts *metav1.CreateOptions) (runtime.Object, error) {
	in, ok := obj.(*livev1alpha1.EnrollmentImport)
	if !ok {
		return nil, apierrors.NewBadRequest("this is no EnrollmentImport")
	}
	if errs := checkImport(in); len(errs) > 0 {
		return nil, apierrors.NewInvalid(livev1alpha1.GroupVersion.WithKind("EnrollmentImport").GroupKind(), in.Name, errs)
	}
	batch := liveimport.Batch(in)
	batch.DryRun = batch.DryRun || isDryRun(opts)
	server := types.NamespacedName{Namespace: namespaceOf(ctx), Name: in.Server}
	reply, err := ask(ctx, r.fleet, server, longTimeout, func(ctx context.Context, c *adminapi.Client) (*adminapi.ImportReply, error) {
		return c.Import(ctx, batch)
	})
	if isUnknown(err) {
		return nil, conflict("the MDMServer %s has no import %q in use: add it to spec.apple.imports, and wait until the server has taken its configuration up", in.Server, in.Import)
	}
	if err != nil {
		return nil, err
	}
	r.Log.Info("enrolments were imported", "namespace", server.Namespace, "server", in.Server, "import", in.Import, "dryRun", batch.DryRun, "enrolments", len(batch.Enrollments))
	out := &livev1alpha1.EnrollmentImport{
		ObjectMeta: metav1.ObjectMeta{Namespace: server.Namespace, Name: in.Name},
		Server:     in.Server, Import: in.Import, DryRun: batch.DryRun, Enrollments: []livev1alpha1.ImportedEnrollment{},
	}
	out.Results = liveimport.Results(reply)
	return out, nil
}

// checkImport finds what makes the whole of an import useless. What is wrong with one enrolment is in its result.
func checkImport(in *livev1alpha1.EnrollmentImport) field.ErrorList {
	var errs field.ErrorList
	if in.Server == "" {
		errs = append(errs, field.Required(field.NewPath("server"), "name the MDMServer that takes the enrolments over"))
	}
	if in.Import == "" {
		errs = append(errs, field.Required(field.NewPath("import"), "name an item of the MDMServer's spec.apple.imports"))
	}
	path := field.NewPath("enrollments")
	switch n := len(in.Enrollments); {
	case n == 0:
		errs = append(errs, field.Required(path, "there is nothing to import"))
	case n > livev1alpha1.MaxImport:
		errs = append(errs, field.TooMany(path, n, livev1alpha1.MaxImport))
	}
	if len(in.Results) > 0 {
		errs = append(errs, field.Forbidden(field.NewPath("results"), "only the answer has results"))
	}
	return errs
}
