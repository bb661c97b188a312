package admin

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// maxWait bounds one long poll: proxies between manager and server often end a silent request after a minute.
const maxWait = 55 * time.Second

// Fleet is what the API asks of the domain, in the API's own terms. Its errors are *adminapi.Error or wrap fleet.ErrUnavailable.
type Fleet interface {
	CheckLease(ctx context.Context, epoch int64) error
	Changes(ctx context.Context, leaseEpoch int64, wait time.Duration, limit int) (*adminapi.Changes, error)
	Ack(ctx context.Context, acks adminapi.Acks) error

	PutArtifact(ctx context.Context, a adminapi.Artifact) (*adminapi.ArtifactStatus, error)
	DeleteArtifact(ctx context.Context, key adminapi.Key, retain bool) error
	ListArtifacts(ctx context.Context, after string, limit int) (*adminapi.Page[adminapi.ArtifactStatus], error)

	PutAssignments(ctx context.Context, b adminapi.AssignmentBatch) (*adminapi.AssignmentReply, error)
	ListAssignments(ctx context.Context, after string, limit int) (*adminapi.Page[adminapi.Assignment], error)

	PutAction(ctx context.Context, a adminapi.Action) (*adminapi.ActionStatus, error)
	CancelAction(ctx context.Context, key adminapi.Key) error
	Action(ctx context.Context, key adminapi.Key) (*adminapi.ActionStatus, error)
	ListActions(ctx context.Context, after string, limit int) (*adminapi.Page[adminapi.ActionStatus], error)
	ActionResults(ctx context.Context, key adminapi.Key, after string, limit int) (*adminapi.Page[adminapi.ActionResult], error)
	ActionResult(ctx context.Context, key adminapi.Key, deviceID string) (*adminapi.ActionResult, error)

	PutToken(ctx context.Context, t adminapi.Token) (*adminapi.TokenStatus, error)
	DeleteToken(ctx context.Context, key adminapi.Key) error
	ListTokens(ctx context.Context, after string, limit int) (*adminapi.Page[adminapi.TokenStatus], error)

	PutAutomated(ctx context.Context, a adminapi.Automated) (*adminapi.AutomatedStatus, error)
	DeleteAutomated(ctx context.Context, key adminapi.Key) error
	ListAutomated(ctx context.Context, after string, limit int) (*adminapi.Page[adminapi.AutomatedStatus], error)

	PutIntents(ctx context.Context, b adminapi.IntentBatch) (*adminapi.IntentReply, error)
	ListDevices(ctx context.Context, after string, limit int) (*adminapi.Page[adminapi.Device], error)
	WakeNow(ctx context.Context, deviceIDs []string) error

	DeviceDetail(ctx context.Context, deviceID string) (*adminapi.DeviceDetail, error)
	ArtifactStates(ctx context.Context, key adminapi.Key, after string, limit int) (*adminapi.Page[adminapi.ArtifactState], error)
	History(ctx context.Context, after int64, wait time.Duration, limit int) (*adminapi.HistoryPage, error)

	Import(ctx context.Context, b adminapi.ImportBatch) (*adminapi.ImportReply, error)
}

// Options of the API.
type Options struct {
	Fleet Fleet
	// Info describes the running server.
	Info func(ctx context.Context) (*adminapi.Info, error)
	// Stopping is closed when the server begins to stop; long polls end then.
	Stopping <-chan struct{}
	Log      *slog.Logger
}

type api struct {
	Options
}

// New returns the handler of every path of the internal API. Who may call it is the listener's business.
func New(o Options) http.Handler {
	a := &api{o}
	const named = "/{namespace}/{name}"
	f := o.Fleet
	mux := http.NewServeMux()
	for pattern, e := range map[string]endpoint{
		"GET " + adminapi.PathInfo:        a.info,
		"GET " + adminapi.PathChanges:     a.changes,
		"POST " + adminapi.PathChangesAck: a.leased(command(f.Ack, checkAcks)),

		"GET " + adminapi.PathArtifacts:            list(f.ListArtifacts),
		"PUT " + adminapi.PathArtifacts + named:    a.leased(put(f.PutArtifact, checkArtifact)),
		"DELETE " + adminapi.PathArtifacts + named: a.leased(a.deleteArtifact),

		"GET " + adminapi.PathAssignments: list(f.ListAssignments),
		"PUT " + adminapi.PathAssignments: a.leased(put(f.PutAssignments, checkAssignments)),

		"GET " + adminapi.PathActions:                                            list(f.ListActions),
		"GET " + adminapi.PathActions + named:                                    a.action,
		"PUT " + adminapi.PathActions + named:                                    a.leased(put(f.PutAction, checkAction)),
		"DELETE " + adminapi.PathActions + named:                                 a.leased(remove(f.CancelAction)),
		"GET " + adminapi.PathActions + named + "/" + adminapi.PathActionResults: a.actionResults,
		"POST " + adminapi.PathActions + named + "/" + adminapi.PathActionResult: a.actionResult,

		"GET " + adminapi.PathTokens:            list(f.ListTokens),
		"PUT " + adminapi.PathTokens + named:    a.leased(put(f.PutToken, checkToken)),
		"DELETE " + adminapi.PathTokens + named: a.leased(remove(f.DeleteToken)),

		"GET " + adminapi.PathAutomated:            list(f.ListAutomated),
		"PUT " + adminapi.PathAutomated + named:    a.leased(put(f.PutAutomated, checkAutomated)),
		"DELETE " + adminapi.PathAutomated + named: a.leased(remove(f.DeleteAutomated)),

		"POST " + adminapi.PathDeviceDetail:                                         put(a.deviceDetail, checkDetailRequest),
		"GET " + adminapi.PathArtifacts + named + "/" + adminapi.PathArtifactStates: a.artifactStates,
		"GET " + adminapi.PathHistory:                                               a.history,

		"GET " + adminapi.PathDevices:       list(f.ListDevices),
		"PUT " + adminapi.PathDeviceIntents: a.leased(put(f.PutIntents, checkIntents)),
		"POST " + adminapi.PathPush:         a.leased(command(a.push, checkPush)),
		"POST " + adminapi.PathImport:       a.leased(put(f.Import, checkImport)),
	} {
		mux.HandleFunc(pattern, a.serve(e))
	}
	return mux
}

func (a *api) info(r *http.Request) (any, error) { return a.Info(r.Context()) }

func (a *api) changes(r *http.Request) (any, error) {
	epoch, err := leaseEpoch(r)
	if err != nil {
		return nil, err
	}
	limit, err := queryLimit(r)
	if err != nil {
		return nil, err
	}
	wait, err := queryWait(r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := a.untilStopping(r)
	defer cancel()
	return a.Fleet.Changes(ctx, epoch, wait, limit)
}

// untilStopping is the context of a long poll, which ends when the server begins to stop.
func (a *api) untilStopping(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	go func() {
		select {
		case <-a.Stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func (a *api) deviceDetail(ctx context.Context, in adminapi.DetailRequest) (*adminapi.DeviceDetail, error) {
	return a.Fleet.DeviceDetail(ctx, in.DeviceID)
}

func (a *api) artifactStates(r *http.Request) (any, error) {
	key, err := pathKey(r)
	if err != nil {
		return nil, err
	}
	return list(func(ctx context.Context, after string, limit int) (*adminapi.Page[adminapi.ArtifactState], error) {
		return a.Fleet.ArtifactStates(ctx, key, after, limit)
	})(r)
}

func (a *api) history(r *http.Request) (any, error) {
	after, err := querySequence(r)
	if err != nil {
		return nil, err
	}
	limit, err := queryLimit(r)
	if err != nil {
		return nil, err
	}
	wait := time.Duration(0)
	if r.URL.Query().Has(adminapi.QueryWait) {
		if wait, err = queryWait(r); err != nil {
			return nil, err
		}
	}
	ctx, cancel := a.untilStopping(r)
	defer cancel()
	return a.Fleet.History(ctx, after, wait, limit)
}

func (a *api) deleteArtifact(r *http.Request) (any, error) {
	key, err := pathKey(r)
	if err != nil {
		return nil, err
	}
	retain, err := queryBool(r, adminapi.QueryRetain)
	if err != nil {
		return nil, err
	}
	return nil, a.Fleet.DeleteArtifact(r.Context(), key, retain)
}

func (a *api) action(r *http.Request) (any, error) {
	key, err := pathKey(r)
	if err != nil {
		return nil, err
	}
	return a.Fleet.Action(r.Context(), key)
}

func (a *api) actionResults(r *http.Request) (any, error) {
	key, err := pathKey(r)
	if err != nil {
		return nil, err
	}
	return list(func(ctx context.Context, after string, limit int) (*adminapi.Page[adminapi.ActionResult], error) {
		return a.Fleet.ActionResults(ctx, key, after, limit)
	})(r)
}

func (a *api) actionResult(r *http.Request) (any, error) {
	key, err := pathKey(r)
	if err != nil {
		return nil, err
	}
	return put(func(ctx context.Context, in adminapi.ResultRequest) (*adminapi.ActionResult, error) {
		return a.Fleet.ActionResult(ctx, key, in.DeviceID)
	}, checkResultRequest)(r)
}

func (a *api) push(ctx context.Context, in adminapi.PushRequest) error {
	return a.Fleet.WakeNow(ctx, in.DeviceIDs)
}
