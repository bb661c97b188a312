package admin_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/admin"
)

// domain is a fleet that notes the last call and answers every call alike.
type domain struct {
	lease  int64
	called string
	answer any
	err    error
	// block makes Changes and History wait for the end of their context.
	block chan struct{}
}

func reply[T any](d *domain, call string, args ...any) (*T, error) {
	d.called = call
	for _, arg := range args {
		d.called += fmt.Sprint(" ", arg)
	}
	answer, _ := d.answer.(*T)
	return answer, d.err
}

func (d *domain) Import(_ context.Context, b adminapi.ImportBatch) (*adminapi.ImportReply, error) {
	return reply[adminapi.ImportReply](d, "Import", b)
}

func note(d *domain, call string, args ...any) error {
	_, err := reply[struct{}](d, call, args...)
	return err
}

func (d *domain) CheckLease(_ context.Context, epoch int64) error {
	if epoch < d.lease {
		return &adminapi.Error{Code: adminapi.CodeAnotherManager, Message: "replaced"}
	}
	return nil
}

func (d *domain) Changes(ctx context.Context, epoch int64, wait time.Duration, limit int) (*adminapi.Changes, error) {
	if d.block != nil {
		close(d.block)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return reply[adminapi.Changes](d, "Changes", epoch, wait, limit)
}

func (d *domain) Ack(_ context.Context, a adminapi.Acks) error { return note(d, "Ack", a) }

func (d *domain) PutArtifact(_ context.Context, a adminapi.Artifact) (*adminapi.ArtifactStatus, error) {
	return reply[adminapi.ArtifactStatus](d, "PutArtifact", a)
}

func (d *domain) DeleteArtifact(_ context.Context, key adminapi.Key, retain bool) error {
	return note(d, "DeleteArtifact", key, retain)
}

func (d *domain) ListArtifacts(_ context.Context, after string, limit int) (*adminapi.Page[adminapi.ArtifactStatus], error) {
	return reply[adminapi.Page[adminapi.ArtifactStatus]](d, "ListArtifacts", after, limit)
}

func (d *domain) PutAssignments(_ context.Context, b adminapi.AssignmentBatch) (*adminapi.AssignmentReply, error) {
	return reply[adminapi.AssignmentReply](d, "PutAssignments", b)
}

func (d *domain) ListAssignments(_ context.Context, after string, limit int) (*adminapi.Page[adminapi.Assignment], error) {
	return reply[adminapi.Page[adminapi.Assignment]](d, "ListAssignments", after, limit)
}

func (d *domain) PutAction(_ context.Context, a adminapi.Action) (*adminapi.ActionStatus, error) {
	return reply[adminapi.ActionStatus](d, "PutAction", fmt.Sprint(a.Key, a.SpecHash, a.Deadline, a.Targets, *a.Apple))
}

func (d *domain) CancelAction(_ context.Context, key adminapi.Key) error {
	return note(d, "CancelAction", key)
}

func (d *domain) Action(_ context.Context, key adminapi.Key) (*adminapi.ActionStatus, error) {
	return reply[adminapi.ActionStatus](d, "Action", key)
}

func (d *domain) ListActions(_ context.Context, after string, limit int) (*adminapi.Page[adminapi.ActionStatus], error) {
	return reply[adminapi.Page[adminapi.ActionStatus]](d, "ListActions", after, limit)
}

func (d *domain) ActionResults(_ context.Context, key adminapi.Key, after string, limit int) (*adminapi.Page[adminapi.ActionResult], error) {
	return reply[adminapi.Page[adminapi.ActionResult]](d, "ActionResults", key, after, limit)
}

func (d *domain) ActionResult(_ context.Context, key adminapi.Key, deviceID string) (*adminapi.ActionResult, error) {
	return reply[adminapi.ActionResult](d, "ActionResult", key, deviceID)
}

func (d *domain) PutToken(_ context.Context, t adminapi.Token) (*adminapi.TokenStatus, error) {
	return reply[adminapi.TokenStatus](d, "PutToken", t)
}

func (d *domain) DeleteToken(_ context.Context, key adminapi.Key) error {
	return note(d, "DeleteToken", key)
}

func (d *domain) ListTokens(_ context.Context, after string, limit int) (*adminapi.Page[adminapi.TokenStatus], error) {
	return reply[adminapi.Page[adminapi.TokenStatus]](d, "ListTokens", after, limit)
}

func (d *domain) PutAutomated(_ context.Context, a adminapi.Automated) (*adminapi.AutomatedStatus, error) {
	return reply[adminapi.AutomatedStatus](d, "PutAutomated", a)
}

func (d *domain) DeleteAutomated(_ context.Context, key adminapi.Key) error {
	return note(d, "DeleteAutomated", key)
}

func (d *domain) ListAutomated(_ context.Context, after string, limit int) (*adminapi.Page[adminapi.AutomatedStatus], error) {
	return reply[adminapi.Page[adminapi.AutomatedStatus]](d, "ListAutomated", after, limit)
}

func (d *domain) PutIntents(_ context.Context, b adminapi.IntentBatch) (*adminapi.IntentReply, error) {
	return reply[adminapi.IntentReply](d, "PutIntents", b)
}

func (d *domain) ListDevices(_ context.Context, after string, limit int) (*adminapi.Page[adminapi.Device], error) {
	return reply[adminapi.Page[adminapi.Device]](d, "ListDevices", after, limit)
}

func (d *domain) WakeNow(_ context.Context, deviceIDs []string) error {
	return note(d, "WakeNow", deviceIDs)
}

func (d *domain) DeviceDetail(_ context.Context, deviceID string) (*adminapi.DeviceDetail, error) {
	return reply[adminapi.DeviceDetail](d, "DeviceDetail", deviceID)
}

func (d *domain) ArtifactStates(_ context.Context, key adminapi.Key, after string, limit int) (*adminapi.Page[adminapi.ArtifactState], error) {
	return reply[adminapi.Page[adminapi.ArtifactState]](d, "ArtifactStates", key, after, limit)
}

func (d *domain) History(ctx context.Context, after int64, wait time.Duration, limit int) (*adminapi.HistoryPage, error) {
	if d.block != nil {
		close(d.block)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return reply[adminapi.HistoryPage](d, "History", after, wait, limit)
}

type server struct {
	client   *adminapi.Client
	url      string
	stopping chan struct{}
}

// serve runs the API over the domain; its client has the lease epoch 42.
func serve(t *testing.T, d *domain) *server {
	t.Helper()
	s := &server{stopping: make(chan struct{})}
	ts := httptest.NewServer(admin.New(admin.Options{
		Fleet:    d,
		Info:     func(context.Context) (*adminapi.Info, error) { return &adminapi.Info{Version: "test"}, nil },
		Stopping: s.stopping,
		Log:      slog.New(slog.DiscardHandler),
	}))
	t.Cleanup(ts.Close)
	s.url, s.client = ts.URL, adminapi.NewClient(ts.URL, ts.Client(), 42)
	return s
}
