package adminapi

// Paths of the internal API. Device identifiers travel in bodies and queries, never in a path, so that request logs hold none.
const (
	// PathInfo answers GET with Info.
	PathInfo = "/v1/info"
	// PathChanges answers GET with Changes: a long poll bounded by the query parameters wait (a duration) and limit.
	PathChanges = "/v1/changes"
	// PathChangesAck takes POST of Acks.
	PathChangesAck = "/v1/changes/ack"
	// PathArtifacts lists ArtifactStatus pages; PathArtifacts/{namespace}/{name} takes PUT of Artifact, and DELETE with the query parameter retain.
	PathArtifacts = "/v1/artifacts"
	// PathAssignments takes PUT of AssignmentBatch and answers GET with pages of Assignment.
	PathAssignments = "/v1/assignments"
	// PathActions lists ActionStatus pages; PathActions/{namespace}/{name} takes GET, PUT of Action and DELETE (cancel what is not delivered).
	PathActions = "/v1/actions"
	// PathActionResults is the suffix below an action that answers GET with pages of ActionResult.
	PathActionResults = "results"
	// PathActionResult is the suffix below an action that takes POST of ResultRequest and answers with one ActionResult including its body.
	PathActionResult = "result"
	// PathTokens lists TokenStatus pages; PathTokens/{namespace}/{name} takes PUT of Token and DELETE.
	PathTokens = "/v1/tokens"
	// PathDevices answers GET with pages of Device.
	PathDevices = "/v1/devices"
	// PathDeviceIntents takes PUT of IntentBatch.
	PathDeviceIntents = "/v1/device-intents"
	// PathDeviceDetail takes POST of DetailRequest and answers with DeviceDetail.
	PathDeviceDetail = "/v1/device-detail"
	// PathArtifactStates is the suffix below an artifact that answers GET with pages of ArtifactState.
	PathArtifactStates = "states"
	// PathHistory answers GET with HistoryPage: entries after the query parameter after (a sequence number; absent: none, only Next), oldest first, at most
	// limit. With wait it is a long poll.
	PathHistory = "/v1/history"
	// PathImport takes POST of ImportBatch and answers with ImportReply.
	PathImport = "/v1/import"
	// PathPush takes POST of PushRequest: wake these devices now.
	PathPush = "/v1/push"
)

// Query parameters of the list and poll endpoints.
const (
	QueryAfter  = "after"
	QueryLimit  = "limit"
	QueryWait   = "wait"
	QueryRetain = "retain"
)

// HeaderLeaseEpoch carries the calling manager's lease epoch (Unix microseconds of its Lease's acquireTime) on every call that
// changes something and on polls. A server refuses an epoch lower than the highest it has seen with CodeAnotherManager.
const HeaderLeaseEpoch = "Kubemdm-Lease-Epoch"

// Limits that both sides keep.
const (
	// MaxBody bounds one request or response body, in bytes.
	MaxBody = 16 << 20
	// MaxArtifact bounds one artifact template, in bytes: a Profile over 1 MiB is refused.
	MaxArtifact = 1 << 20
	// MaxPage bounds the items of one list page.
	MaxPage = 1000
	// MaxBatch bounds the items of one AssignmentBatch or IntentBatch.
	MaxBatch = 1000
	// MaxInlineResults bounds the results carried inside one ActionStatus; all of them are read through PathActionResults.
	MaxInlineResults = 20
	// MaxHistory bounds the entries inside one DeviceDetail, and what is kept of one device.
	MaxHistory = 200
	// MaxFailing bounds the failing devices named inside one ArtifactStatus.
	MaxFailing = 5
)
