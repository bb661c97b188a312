package live

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
)

var (
	scheme         = newScheme()
	codecs         = text{serializer.NewCodecFactory(scheme)}
	parameterCodec = runtime.NewParameterCodec(scheme)
)

// text is a serializer of JSON and YAML. Our types have no protocol buffers: a client that accepts both gets JSON.
type text struct{ serializer.CodecFactory }

// SupportedMediaTypes implements runtime.NegotiatedSerializer.
func (t text) SupportedMediaTypes() []runtime.SerializerInfo {
	return slices.DeleteFunc(slices.Clone(t.CodecFactory.SupportedMediaTypes()), func(info runtime.SerializerInfo) bool {
		return info.MediaType == runtime.ContentTypeProtobuf
	})
}

func newScheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(livev1alpha1.AddToScheme(s))
	utilruntime.Must(s.SetVersionPriority(livev1alpha1.GroupVersion))
	// The generic API server decodes to an internal version. There is one version, and it is both.
	internal := schema.GroupVersion{Group: livev1alpha1.GroupVersion.Group, Version: runtime.APIVersionInternal}
	s.AddKnownTypes(internal,
		&livev1alpha1.DeviceReport{}, &livev1alpha1.DeviceReportList{}, &livev1alpha1.DevicePush{},
		&livev1alpha1.ProfileReport{}, &livev1alpha1.ProfileReportList{},
		&livev1alpha1.DeviceEvent{}, &livev1alpha1.DeviceEventList{},
		&livev1alpha1.DevicePIN{}, &livev1alpha1.DevicePINList{},
		&livev1alpha1.EnrollmentImport{}, &livev1alpha1.EnrollmentImportList{},
	)
	unversioned := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(s, unversioned)
	s.AddUnversionedTypes(unversioned, &metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{}, &metav1.APIResourceList{})
	utilruntime.Must(s.AddFieldLabelConversionFunc(livev1alpha1.GroupVersion.WithKind("DeviceEvent"), eventFields))
	return s
}

// The fields by which any kind can be selected.
const (
	fieldName      = "metadata.name"
	fieldNamespace = "metadata.namespace"
)

// eventFields says by what DeviceEvents can be selected.
func eventFields(label, value string) (string, string, error) {
	known := []string{livev1alpha1.FieldDevice, livev1alpha1.FieldServer, fieldName, fieldNamespace}
	if !slices.Contains(known, label) {
		return "", "", fmt.Errorf("deviceevents have no field %q to select by: use %q or %q", label, livev1alpha1.FieldDevice, livev1alpha1.FieldServer)
	}
	return label, value, nil
}
