package serverconfig_test

import (
	"testing"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

func TestCheckPath(t *testing.T) {
	for path, good := range map[string]bool{
		"/mdm": true, "/checkin": true, "/mdm/connect": true, "/mdm/": true, "/enrol": true, "/api-v1/mdm": true,
		"": false, "/": false, "mdm": false, "/a//b": false, "/a/../b": false, "/./a": false, "/{x}": false, "/a b": false, "/a?b": false,
		"/scep": false, "/SCEP": false, "/scep/x": false, "/apple/command": false, "/ade/x": false, "/enroll": false, "/enroll/": false, "/enroll-page/x": false,
		"/api/mdm/microsoft/management": false, "/EnrollmentServer/Discovery.svc": false, "/.well-known/x": false,
	} {
		if err := serverconfig.CheckPath(path); (err == nil) != good {
			t.Errorf("%q: %v", path, err)
		}
	}
}
