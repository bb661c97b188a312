package cli

import (
	"net/http"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
)

// liveResources are those of the live view by kind. They are known beforehand: an API server that cannot reach the live view does not tell that it has it, so
// that one out of order could not be told from one that is not installed.
var liveResources = map[string]string{
	"DeviceReport": "devicereport", "ProfileReport": "profilereport", "DeviceEvent": "deviceevent", "DevicePIN": "devicepin", "EnrollmentImport": "enrollmentimport",
}

// mapper knows the resources of kinds: those of the live view, and all that the API server tells.
func mapper(config *rest.Config, httpClient *http.Client) (meta.RESTMapper, error) {
	told, err := apiutil.NewDynamicRESTMapper(config, httpClient)
	if err != nil {
		return nil, err
	}
	known := meta.NewDefaultRESTMapper([]schema.GroupVersion{livev1alpha1.GroupVersion})
	for kind, singular := range liveResources {
		version := livev1alpha1.GroupVersion
		known.AddSpecific(version.WithKind(kind), version.WithResource(singular+"s"), version.WithResource(singular), meta.RESTScopeNamespace)
	}
	return meta.FirstHitRESTMapper{MultiRESTMapper: meta.MultiRESTMapper{known, told}}, nil
}
