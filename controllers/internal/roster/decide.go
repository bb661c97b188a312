package roster

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/convert"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/selection"
)

// Decision is which members should have a Profile.
type Decision struct {
	// Wanted says for each member, in their order, whether the Profile selects it.
	Wanted []bool
	// Losing are the ids of the members that have the Profile and are not selected, sorted. Token names this very set; it is empty without one.
	Losing []string
	Token  string
	// Held says that Losing must keep the Profile until a person acknowledges Token.
	Held bool
}

// Decide decides for one Profile, which is for members of its platform only. While it is paused, being deleted or unreadable, everything stays as it is: withdrawing it is the business of its
// finalizer.
func Decide(p *mdmv1alpha1.Profile, members []Member) Decision {
	key := convert.Key(p)
	selects, err := selection.Profile(p)
	frozen := err != nil || selection.Frozen(p)
	d := Decision{Wanted: make([]bool, len(members))}
	having := 0
	for i := range members {
		m := &members[i]
		has := m.Has(key)
		d.Wanted[i] = frozen && has || !frozen && selects(mdmv1alpha1.Platform(m.Platform), m.Labels)
		if !has {
			continue
		}
		having++
		if !d.Wanted[i] {
			d.Losing = append(d.Losing, m.ID)
		}
	}
	if len(d.Losing) > 0 {
		slices.Sort(d.Losing)
		d.Token = tokenOf(d.Losing)
		d.Held = len(d.Losing) > selection.Removable(p, having) && p.Spec.Removal.Acknowledge != d.Token
	}
	return d
}

// tokenOf names a set of devices without telling which they are.
func tokenOf(ids []string) string {
	h := sha256.New()
	for _, id := range ids {
		h.Write([]byte(id + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil))[:10]
}

// Told says whether the server was told what the decision wants of the members: nobody lacks the artifact, and who has it unwanted is held.
func (d *Decision) Told(artifact adminapi.Key, members []Member) bool {
	for i := range members {
		if d.Wanted[i] && !members[i].Has(artifact) {
			return false
		}
	}
	return len(d.Losing) == 0 || d.Held
}
