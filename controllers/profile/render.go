package profile

import (
	"context"
	"errors"
	"time"

	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/source"
	"github.com/kubemdm/kubemdm/internal/payload"
	"github.com/kubemdm/kubemdm/internal/payload/content"
)

// refresh is how often the sources of a Profile are compared with what was rendered. Watching them would take the right to list every Secret of a
// namespace.
const refresh = time.Minute

// render makes what devices get of what the Profile says and refers to.
func (r *Reconciler) render(ctx context.Context, s *scope, report *loop.Report) error {
	refs := payload.References(s.profile)
	sources, err := source.Read(ctx, r.Client, s.profile.Namespace, refs)
	if err != nil {
		return err
	}
	if len(refs.ConfigMaps)+len(refs.Secrets) > 0 {
		report.Again(refresh)
	}
	s.rendered, err = payload.Render(s.profile, sources)
	var invalid *content.Error
	if errors.As(err, &invalid) {
		return loop.Stall(invalid.Reason, "%s", invalid)
	}
	return err
}
