package adminapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client calls one server. It is safe for concurrent use.
type Client struct {
	base  string
	http  *http.Client
	epoch int64
}

// NewClient returns a client for the server at base (such as https://mdm.fleet.svc:9443) that speaks through hc, which holds the
// client certificate. leaseEpoch is sent with every call (HeaderLeaseEpoch).
func NewClient(base string, hc *http.Client, leaseEpoch int64) *Client {
	return &Client{base: strings.TrimSuffix(base, "/"), http: hc, epoch: leaseEpoch}
}

// Info reads the server's state.
func (c *Client) Info(ctx context.Context) (*Info, error) {
	return call[Info](ctx, c, http.MethodGet, PathInfo, nil, nil)
}

// Changes waits up to wait for dirty rows and returns at most limit of them. They are offered again until they are acked.
func (c *Client) Changes(ctx context.Context, wait time.Duration, limit int) (*Changes, error) {
	q := url.Values{QueryWait: {wait.String()}, QueryLimit: {strconv.Itoa(limit)}}
	return call[Changes](ctx, c, http.MethodGet, PathChanges, q, nil)
}

// Ack confirms or refuses delivered changes.
func (c *Client) Ack(ctx context.Context, acks Acks) error {
	return c.do(ctx, http.MethodPost, PathChangesAck, nil, acks, nil)
}

// PutArtifact stores an artifact. An identifier that another artifact owns is refused with CodeIdentifierConflict.
func (c *Client) PutArtifact(ctx context.Context, a Artifact) (*ArtifactStatus, error) {
	return call[ArtifactStatus](ctx, c, http.MethodPut, keyPath(PathArtifacts, a.Key), nil, a)
}

// DeleteArtifact withdraws an artifact: the removal from every device is stored durably before it returns. With retain the
// artifact is forgotten and left on the devices. An unknown artifact is no error.
func (c *Client) DeleteArtifact(ctx context.Context, key Key, retain bool) error {
	return c.do(ctx, http.MethodDelete, keyPath(PathArtifacts, key), url.Values{QueryRetain: {strconv.FormatBool(retain)}}, nil, nil)
}

// PutAssignments stores the whole artifact set of each named device.
func (c *Client) PutAssignments(ctx context.Context, b AssignmentBatch) (*AssignmentReply, error) {
	return call[AssignmentReply](ctx, c, http.MethodPut, PathAssignments, nil, b)
}

// PutAction stores an action, or answers with the state of the one already known.
func (c *Client) PutAction(ctx context.Context, a Action) (*ActionStatus, error) {
	return call[ActionStatus](ctx, c, http.MethodPut, keyPath(PathActions, a.Key), nil, a)
}

// CancelAction closes every target that was not delivered as Canceled. An unknown action is no error.
func (c *Client) CancelAction(ctx context.Context, key Key) error {
	return c.do(ctx, http.MethodDelete, keyPath(PathActions, key), nil, nil, nil)
}

// Action reads the state of an action.
func (c *Client) Action(ctx context.Context, key Key) (*ActionStatus, error) {
	return call[ActionStatus](ctx, c, http.MethodGet, keyPath(PathActions, key), nil, nil)
}

// ActionResults lists a page of an action's results without bodies.
func (c *Client) ActionResults(ctx context.Context, key Key, after string, limit int) (*Page[ActionResult], error) {
	return call[Page[ActionResult]](ctx, c, http.MethodGet, keyPath(PathActions, key)+"/"+PathActionResults, pageQuery(after, limit), nil)
}

// ActionResult reads the whole result of one target, with its body and PIN.
func (c *Client) ActionResult(ctx context.Context, key Key, deviceID string) (*ActionResult, error) {
	return call[ActionResult](ctx, c, http.MethodPost, keyPath(PathActions, key)+"/"+PathActionResult, nil, ResultRequest{DeviceID: deviceID})
}

// PutToken stores an enrolment token's hash and rules.
func (c *Client) PutToken(ctx context.Context, t Token) (*TokenStatus, error) {
	return call[TokenStatus](ctx, c, http.MethodPut, keyPath(PathTokens, t.Key), nil, t)
}

// DeleteToken makes a token unusable. An unknown token is no error.
func (c *Client) DeleteToken(ctx context.Context, key Key) error {
	return c.do(ctx, http.MethodDelete, keyPath(PathTokens, key), nil, nil, nil)
}

// PutIntents stores what is wanted of enrolments.
func (c *Client) PutIntents(ctx context.Context, b IntentBatch) (*IntentReply, error) {
	return call[IntentReply](ctx, c, http.MethodPut, PathDeviceIntents, nil, b)
}

// Push wakes devices now.
func (c *Client) Push(ctx context.Context, deviceIDs []string) error {
	return c.do(ctx, http.MethodPost, PathPush, nil, PushRequest{DeviceIDs: deviceIDs}, nil)
}

// Devices lists a page of devices.
func (c *Client) Devices(ctx context.Context, after string, limit int) (*Page[Device], error) {
	return call[Page[Device]](ctx, c, http.MethodGet, PathDevices, pageQuery(after, limit), nil)
}

// Artifacts lists a page of artifact states.
func (c *Client) Artifacts(ctx context.Context, after string, limit int) (*Page[ArtifactStatus], error) {
	return call[Page[ArtifactStatus]](ctx, c, http.MethodGet, PathArtifacts, pageQuery(after, limit), nil)
}

// Assignments lists a page of assignments.
func (c *Client) Assignments(ctx context.Context, after string, limit int) (*Page[Assignment], error) {
	return call[Page[Assignment]](ctx, c, http.MethodGet, PathAssignments, pageQuery(after, limit), nil)
}

// Actions lists a page of action states.
func (c *Client) Actions(ctx context.Context, after string, limit int) (*Page[ActionStatus], error) {
	return call[Page[ActionStatus]](ctx, c, http.MethodGet, PathActions, pageQuery(after, limit), nil)
}

// Tokens lists a page of token states.
func (c *Client) Tokens(ctx context.Context, after string, limit int) (*Page[TokenStatus], error) {
	return call[Page[TokenStatus]](ctx, c, http.MethodGet, PathTokens, pageQuery(after, limit), nil)
}

// DeviceDetail reads all that the server can say of one device.
func (c *Client) DeviceDetail(ctx context.Context, deviceID string) (*DeviceDetail, error) {
	return call[DeviceDetail](ctx, c, http.MethodPost, PathDeviceDetail, nil, DetailRequest{DeviceID: deviceID})
}

// ArtifactStates lists a page of how far each device is with an artifact. What Next says is for the server alone.
func (c *Client) ArtifactStates(ctx context.Context, key Key, after string, limit int) (*Page[ArtifactState], error) {
	return call[Page[ArtifactState]](ctx, c, http.MethodGet, keyPath(PathArtifacts, key)+"/"+PathArtifactStates, pageQuery(after, limit), nil)
}

// History waits up to wait for entries after a sequence number and returns at most limit of them, oldest first. A negative after asks for no entries,
// only for the Next from which those to come can be read; it does not wait.
func (c *Client) History(ctx context.Context, after int64, wait time.Duration, limit int) (*HistoryPage, error) {
	q := url.Values{QueryWait: {wait.String()}, QueryLimit: {strconv.Itoa(limit)}}
	if after >= 0 {
		q.Set(QueryAfter, strconv.FormatInt(after, 10))
	}
	return call[HistoryPage](ctx, c, http.MethodGet, PathHistory, q, nil)
}

// Import takes over enrolments of another server, or judges them in a dry run. The same batch may be sent again.
func (c *Client) Import(ctx context.Context, b ImportBatch) (*ImportReply, error) {
	return call[ImportReply](ctx, c, http.MethodPost, PathImport, nil, b)
}

// All reads every page of a list.
func All[T any](ctx context.Context, list func(ctx context.Context, after string, limit int) (*Page[T], error)) ([]T, error) {
	var all []T
	for after := ""; ; {
		page, err := list(ctx, after, MaxPage)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.Next == "" {
			return all, nil
		}
		after = page.Next
	}
}

func keyPath(base string, key Key) string {
	ns, name, _ := strings.Cut(string(key), "/")
	return base + "/" + url.PathEscape(ns) + "/" + url.PathEscape(name)
}

func pageQuery(after string, limit int) url.Values {
	return url.Values{QueryAfter: {after}, QueryLimit: {strconv.Itoa(limit)}}
}

func call[T any](ctx context.Context, c *Client, method, path string, query url.Values, in any) (*T, error) {
	out := new(T)
	if err := c.do(ctx, method, path, query, in, out); err != nil {
		return nil, err
	}
	return out, nil
}

func (c *Client) do(ctx context.Context, method, path string, query url.Values, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	target := c.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return err
	}
	req.Header.Set(HeaderLeaseEpoch, strconv.FormatInt(c.epoch, 10))
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return decode(res, out)
}

func decode(res *http.Response, out any) error {
	b, err := io.ReadAll(io.LimitReader(res.Body, MaxBody+1))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if len(b) > MaxBody {
		return fmt.Errorf("the answer is larger than %d bytes", MaxBody)
	}
	if res.StatusCode >= 300 {
		e := &Error{}
		if json.Unmarshal(b, e) != nil || e.Code == "" {
			e = &Error{Code: CodeInternal, Message: "the server answered " + res.Status}
		}
		return e
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("decoding the answer: %w", err)
	}
	return nil
}
