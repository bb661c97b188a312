package validate

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// MDMServer checks that the paths of imports are none of the server's own.
func MDMServer(s *v1alpha1.MDMServer) field.ErrorList {
	if s.Spec.Apple == nil {
		return nil
	}
	var errs field.ErrorList
	imports := field.NewPath("spec", "apple", "imports")
	for i, other := range s.Spec.Apple.Imports {
		for _, p := range []struct{ name, value string }{{"serverPath", other.ServerPath}, {"checkInPath", other.CheckInPath}} {
			if err := serverconfig.CheckPath(p.value); err != nil {
				errs = append(errs, field.Invalid(imports.Index(i).Child(p.name), p.value, err.Error()))
			}
		}
	}
	return errs
}
