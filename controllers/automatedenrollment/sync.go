package automatedenrollment

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/convert"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/source"
	"github.com/kubemdm/kubemdm/internal/ade"
	"github.com/kubemdm/kubemdm/internal/payload/content"
)

// fullEvery is how often all devices are listed anew, whatever the cursor says: it puts right what was missed.
const fullEvery = 24 * time.Hour

// userAgent names this program to Apple.
const userAgent = "KubeMDM/1.0"

// maxName bounds names that Apple gives, in bytes.
const maxName = 253

// connect makes the client for the token in use, unless there is one.
func (r *Reconciler) connect(ctx context.Context, s *scope, token ade.Token) error {
	c, w, err := r.dial(ctx, s, token)
	if err != nil || s.account.client != nil && s.account.way == w {
		return err
	}
	a := s.account
	r.Apple.Open(client.ObjectKeyFromObject(s.object), c)
	a.client, a.way, a.known, a.outage, a.failures = c, w, false, nil, 0
	return nil
}

// dial makes a client. It asks nobody yet.
func (r *Reconciler) dial(ctx context.Context, s *scope, token ade.Token) (*ade.Client, way, error) {
	service := s.object.Spec.Service
	w := way{token: token, url: service.URL}
	var roots *x509.CertPool
	if ref := service.CAConfigMapRef; ref != nil {
		found, err := source.Read(ctx, r.Client, s.object.Namespace, content.References{ConfigMaps: []mdmv1alpha1.KeyReference{*ref}})
		if err != nil {
			return nil, w, err
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(found.ConfigMaps[*ref]) {
			return nil, w, loop.Stall(mdmv1alpha1.ReasonInvalid, "the key %s of the ConfigMap %s holds no PEM certificate", ref.Key, ref.Name)
		}
		sum := sha256.Sum256(found.ConfigMaps[*ref])
		w.roots = hex.EncodeToString(sum[:])
	}
	c, err := ade.New(token, ade.Options{URL: service.URL, Roots: roots, UserAgent: userAgent, Now: r.Clock.Now})
	return c, w, err
}

// sync asks Apple what is new, if it is time to.
func (r *Reconciler) sync(ctx context.Context, s *scope, report *loop.Report) error {
	a, now := s.account, r.Clock.Now()
	asked := s.object.Annotations[mdmv1alpha1.AnnotationRequestedAt]
	hurry := asked != "" && asked != a.request && asked != s.object.Status.LastHandledRequest
	if a.outage != nil && now.Before(a.resume) && a.generation == s.object.Generation && !hurry {
		s.cut = a.outage
	} else if hurry || a.full.IsZero() || now.Sub(a.synced) >= s.object.Spec.SyncEvery.Duration {
		a.request = asked
		if err := r.ask(ctx, s, now); err != nil {
			return err
		}
	}
	s.fresh = !a.full.IsZero()
	if s.cut != nil {
		report.False(s.cut.reason, "%s", s.cut.message)
		report.Again(a.resume.Sub(now))
		return nil
	}
	report.Again(a.synced.Add(s.object.Spec.SyncEvery.Duration).Sub(now))
	return nil
}

// ask brings the list up to date. What Apple does not answer is an outage in the scope, and no error.
func (r *Reconciler) ask(ctx context.Context, s *scope, now time.Time) error {
	a := s.account
	if !a.known {
		organization, err := a.client.Account(ctx)
		if err != nil {
			return s.failed(err, now)
		}
		a.known = true
		s.object.Status.Organization = &mdmv1alpha1.AppleOrganization{
			Name: convert.Text(organization.OrganizationName, maxName), ID: convert.Text(organization.OrganizationID, maxName),
			ServerName: convert.Text(organization.ServerName, maxName), ServerUUID: convert.Text(organization.ServerUUID, maxName),
		}
	}
	var news bool
	var err error
	if a.full.IsZero() || now.Sub(a.full) >= fullEvery {
		news, err = true, a.fetch(ctx, now)
	} else {
		news, err = a.follow(ctx)
		if stale(err) {
			a.cursor, a.full = "", time.Time{}
			news, err = true, a.fetch(ctx, now)
		}
	}
	if err != nil {
		return s.failed(err, now)
	}
	s.answered()
	a.synced = now
	if news {
		s.object.Status.LastSyncTime = new(metav1.NewTime(now))
	}
	return nil
}

// stale says whether a cursor is of no use any more, so that all is to be fetched anew.
func stale(err error) bool {
	var f *ade.Failure
	return errors.As(err, &f) && slices.Contains([]ade.Kind{ade.CursorInvalid, ade.CursorExpired, ade.CursorExhausted}, f.Kind)
}

// fetch reads the whole list. Nothing of it counts before it is complete: a part of it would look like devices that left.
func (a *account) fetch(ctx context.Context, now time.Time) error {
	list, cursor := map[string]*listed{}, ""
	for {
		page, err := a.client.Fetch(ctx, cursor)
		var f *ade.Failure
		if errors.As(err, &f) && f.Kind == ade.CursorExhausted && cursor != "" {
			break // the last page was full, and nothing follows
		}
		if err != nil {
			return err
		}
		for _, d := range page.Devices {
			list[d.SerialNumber] = a.entry(d)
		}
		cursor = page.Cursor
		if !page.More {
			break
		}
	}
	a.list, a.gone, a.cursor, a.full = list, map[string]time.Time{}, cursor, now
	return nil
}

// entry is a device as Apple tells it now, with what is remembered of it.
func (a *account) entry(d ade.Device) *listed {
	entry := &listed{Device: d}
	if was := a.list[d.SerialNumber]; was != nil {
		entry.applied = was.applied
	}
	return entry
}

// follow reads what changed since the last sync.
func (a *account) follow(ctx context.Context) (news bool, err error) {
	for {
		page, err := a.client.Sync(ctx, a.cursor)
		if err != nil {
			return news, err
		}
		for _, d := range page.Devices {
			news = a.heed(d) || news
		}
		a.cursor = page.Cursor
		if !page.More {
			return news, nil
		}
	}
}

// heed takes an event into the list and says whether it tells anything new. Events come more than once and late: one that is older than what is known
// says nothing. Apple tells of assignments too, those that were made here included.
func (a *account) heed(d ade.Device) (news bool) {
	was, left := a.list[d.SerialNumber], a.gone[d.SerialNumber]
	switch {
	case was == nil && !left.IsZero() && !d.OpAt.After(left):
		return false
	case was != nil && (d.OpAt.Before(was.OpAt) || d.Op == ade.Deleted && d.OpAt.Before(was.AssignedAt)):
		return false
	case d.Op == ade.Deleted:
		delete(a.list, d.SerialNumber)
		a.gone[d.SerialNumber] = d.OpAt
		return was != nil
	}
	a.list[d.SerialNumber] = a.entry(d)
	return was == nil || told(was.Device) != told(d)
}

// told is what Apple tells of a device, without how and when it did.
func told(d ade.Device) ade.Device {
	d.Op, d.OpAt, d.ProfileStatus = "", time.Time{}, ""
	return d
}
