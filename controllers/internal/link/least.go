package link

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// leastAdvanced is what holds of two replicas: what both have loaded, and what hinders one of them.
func leastAdvanced(a, b adminapi.Info) adminapi.Info {
	if a.Store.Reason != "" {
		a, b = b, a // the counts are those of a replica that can count
	}
	a.Version = older(a.Version, b.Version)
	a.Serving = endsFirst(a.Serving, b.Serving)
	a.IdentityCAs, a.WSTEPCAs = inBoth(a.IdentityCAs, b.IdentityCAs), inBoth(a.WSTEPCAs, b.WSTEPCAs)
	a.SealingKeys = slices.DeleteFunc(slices.Clone(a.SealingKeys), func(id string) bool { return !slices.Contains(b.SealingKeys, id) })
	a.Push = leastPushing(a.Push, b.Push)
	refused := map[string]string{}
	maps.Copy(refused, b.Refused)
	maps.Copy(refused, a.Refused)
	a.Refused = refused
	if a.Store.Reason == "" {
		a.Store = b.Store
	}
	return a
}

func older(a, b string) string {
	va, errA := version.ParseGeneric(a)
	vb, errB := version.ParseGeneric(b)
	if errA != nil || errB != nil {
		return min(a, b)
	}
	if vb.LessThan(va) {
		return b
	}
	return a
}

func endsFirst(a, b adminapi.CertificateInfo) adminapi.CertificateInfo {
	if b.NotAfter.Before(a.NotAfter) {
		return b
	}
	return a
}

// inBoth are the generations that both have loaded.
func inBoth(a, b []adminapi.CAInfo) []adminapi.CAInfo {
	return slices.DeleteFunc(slices.Clone(a), func(ca adminapi.CAInfo) bool {
		return !slices.ContainsFunc(b, func(other adminapi.CAInfo) bool { return other.Fingerprint == ca.Fingerprint })
	})
}

// leastPushing takes the state of the replica that is hindered more. One accepted push is enough to know that Apple takes them, whoever sent it.
func leastPushing(a, b adminapi.PushInfo) adminapi.PushInfo {
	least := a
	if b.Paused && !a.Paused || b.Paused == a.Paused && a.Reason == "" {
		least = b
	}
	least.Certificate = endsFirst(a.Certificate, b.Certificate)
	if least.LastAccepted = a.LastAccepted; b.LastAccepted.After(a.LastAccepted) {
		least.LastAccepted = b.LastAccepted
	}
	return least
}
