package validate_test

import (
	"testing"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/validate"
)

func TestMDMServer(t *testing.T) {
	with := func(serverPath, checkInPath string) *v1alpha1.MDMServer {
		return &v1alpha1.MDMServer{Spec: v1alpha1.MDMServerSpec{Apple: &v1alpha1.AppleServer{Imports: []v1alpha1.AppleImport{
			{Name: "a", ServerPath: "/mdm", CheckInPath: "/mdm"}, {Name: "b", ServerPath: serverPath, CheckInPath: checkInPath}}}}}
	}
	for name, tc := range map[string]struct {
		server *v1alpha1.MDMServer
		want   []string
	}{
		"no Apple":   {&v1alpha1.MDMServer{}, nil},
		"good":       {with("/mdm", "/checkin"), nil},
		"own paths":  {with("/apple/command", "/scep"), []string{"spec.apple.imports[1].serverPath", "spec.apple.imports[1].checkInPath"}},
		"no segment": {with("/mdm", "/a//b"), []string{"spec.apple.imports[1].checkInPath"}},
	} {
		t.Run(name, func(t *testing.T) {
			errs := validate.MDMServer(tc.server)
			if len(errs) != len(tc.want) {
				t.Fatalf("errors %v", errs)
			}
			for i, want := range tc.want {
				if errs[i].Field != want {
					t.Errorf("error %d is of %s, want %s", i, errs[i].Field, want)
				}
			}
		})
	}
}
