package admin_test

import (
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// FuzzProgressPlace is here and not beside the code, since the tests there link a database that takes minutes to build for fuzzing.
func FuzzProgressPlace(f *testing.F) {
	f.Add("")
	f.Add("e30")
	f.Add(fleet.ProgressPlace{Part: fleet.ProgressRemoving, DeviceID: "U1", ChannelID: "U1:ann"}.String())
	f.Fuzz(func(t *testing.T, after string) {
		place, err := fleet.ParseProgressPlace(after)
		if err != nil {
			if adminapi.CodeOf(err) != adminapi.CodeInvalid {
				t.Errorf("%q: %v", after, err)
			}
			return
		}
		if again, err := fleet.ParseProgressPlace(place.String()); len(after) < 1000 && (err != nil || again != place) {
			t.Errorf("%+v became %+v, %v", place, again, err)
		}
	})
}
