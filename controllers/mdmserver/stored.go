package mdmserver

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/certs"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

const (
	// annotationRotatedFor on a family's Secret repeats the value of the annotation that the newest generation was made for.
	annotationRotatedFor = "mdm.kubemdm.io/rotated-for"
	// annotationRetired, with a generation behind it, says since when that generation has not issued any more.
	annotationRetired = "mdm.kubemdm.io/retired-"
	// annotationLongest, with a generation behind it, is the longest validity with which that generation has issued.
	annotationLongest = "mdm.kubemdm.io/longest-validity-"
)

// readGenerations reads the Secret of a family; none at all is no error.
func readGenerations(secret *corev1.Secret) ([]generation, error) {
	if secret == nil {
		return nil, nil
	}
	var roles map[int]mdmv1alpha1.CARole
	if err := json.Unmarshal(secret.Data[serverconfig.RolesFile], &roles); err != nil {
		return nil, fmt.Errorf("%s: %w", serverconfig.RolesFile, err)
	}
	var all []generation
	active := 0
	for _, n := range slices.Sorted(maps.Keys(roles)) {
		g, err := readGeneration(n, secret.Data[fmt.Sprintf("%d.crt", n)], secret.Data[fmt.Sprintf("%d.key", n)])
		if err != nil {
			return nil, fmt.Errorf("generation %d: %w", n, err)
		}
		g.role = roles[n]
		g.retired, _ = time.Parse(time.RFC3339, secret.Annotations[annotationRetired+strconv.Itoa(n)])
		g.longest, _ = time.ParseDuration(secret.Annotations[annotationLongest+strconv.Itoa(n)])
		if g.role == mdmv1alpha1.CARoleActive {
			active++
		}
		all = append(all, g)
	}
	if active != 1 {
		return nil, fmt.Errorf("%s names %d active generations instead of one", serverconfig.RolesFile, active)
	}
	return all, nil
}

func readGeneration(n int, cert, key []byte) (generation, error) {
	pair, err := certs.ReadPair(cert, key)
	if err != nil {
		return generation{}, err
	}
	return generation{number: n, cert: cert, key: key, leaf: pair.Leaf}, nil
}

// storeGenerations writes the Secret that the server mounts.
func (r *Reconciler) storeGenerations(ctx context.Context, s *scope, f family, old *corev1.Secret, plan []generation, complete bool) error {
	secret := s.server.Secret(f.SecretName)
	secret.Annotations = map[string]string{}
	if old != nil {
		secret = old.DeepCopy()
		secret.Data = map[string][]byte{}
		maps.DeleteFunc(secret.Annotations, func(key, _ string) bool {
			return strings.HasPrefix(key, annotationRetired) || strings.HasPrefix(key, annotationLongest)
		})
	}
	roles := map[int]mdmv1alpha1.CARole{}
	for _, g := range plan {
		roles[g.number] = g.role
		secret.Data[fmt.Sprintf("%d.crt", g.number)], secret.Data[fmt.Sprintf("%d.key", g.number)] = g.cert, g.key
		metaAnnotation(secret, annotationLongest+strconv.Itoa(g.number), g.longest.String())
		if !g.retired.IsZero() {
			metaAnnotation(secret, annotationRetired+strconv.Itoa(g.number), g.retired.UTC().Format(time.RFC3339))
		}
	}
	if request := s.server.Annotations[f.rotate]; request != "" && complete {
		metaAnnotation(secret, annotationRotatedFor, request)
	}
	var err error
	if secret.Data[serverconfig.RolesFile], err = json.Marshal(roles); err != nil {
		return err
	}
	if old == nil {
		return r.Client.Create(ctx, secret)
	}
	if equality.Semantic.DeepEqual(old, secret) {
		return nil
	}
	return r.Client.Update(ctx, secret)
}

func metaAnnotation(secret *corev1.Secret, key, value string) {
	if secret.Annotations == nil {
		secret.Annotations = map[string]string{}
	}
	secret.Annotations[key] = value
}
