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
	// Wanted says for each group, in their order, whether the Profile selects its members.
	Wanted []bool
	// Losing are the ids of the members that have the Profile and are not selected, sorted. Token names this very set; it is empty without one.
	Losing []string
	Token  string
	// Held says that Losing must keep the Profile until a person acknowledges Token.
	Held bool
}

// Decide decides for one Profile, which is for members of its platform only. While it is paused, being deleted or unreadable, everything stays as it is: withdrawing it is the business of its
// finalizer.
func Decide(p *mdmv1alpha1.Profile, groups []Group) Decision {
	key := convert.Key(p)
	selects, err := selection.Profile(p)
	frozen := err != nil || selection.Frozen(p)
	d := Decision{Wanted: make([]bool, len(groups))}
	having := 0
	for i := range groups {
		g := &groups[i]
		has := g.Has(key)
		d.Wanted[i] = frozen && has || !frozen && selects(mdmv1alpha1.Platform(g.Platform), g.Labels)
		if !has {
			continue
		}
		having += len(g.Members)
		if !d.Wanted[i] {
			for _, m := range g.Members {
				d.Losing = append(d.Losing, m.ID)
			}
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
func (d *Decision) Told(artifact adminapi.Key, groups []Group) bool {
	for i := range groups {
		if d.Wanted[i] && !groups[i].Has(artifact) {
			return false
		}
	}
	return len(d.Losing) == 0 || d.Held
}
