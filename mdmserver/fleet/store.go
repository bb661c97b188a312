package fleet

import (
	"context"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// Store keeps the rows. Errors that come from the medium (full, locked, broken, closed) wrap ErrUnavailable.
type Store interface {
	// View runs fn over one consistent snapshot. Nothing may be written in it.
	View(ctx context.Context, fn func(Tx) error) error
	// Meta reads a word about the store and Contact what decides about a request of an Apple channel, each in one statement without a transaction.
	Meta(ctx context.Context, name string) (string, error)
	Contact(ctx context.Context, q Contacted) (*ContactRow, error)
	// Update runs fn alone among all updates and commits durably if it returns nil; otherwise nothing of it remains. If it certainly came to nothing fn may
	// run once more.
	Update(ctx context.Context, fn func(Tx) error) error
	// Epoch changes when what servers and manager remember of the store may not hold any more: none of them was there before, or it was restored, or a
	// lagging copy took its place: "<store id>.<random>". Replicas on one store share it. It is empty until the store first answered.
	Epoch() string
	// Announced gets a value soon after another process committed an update, and may get one for nothing; nil if there is no other.
	Announced() <-chan struct{}
	Close() error
}

// Tx is one transaction: small operations on rows, without any rule of the domain. Getters of a single row return nil if there is none.
// Put writes the whole row, new or not. Lists that page are in ascending order of their key, after the given one.
type Tx interface {
	// Lease gives the holder the named work until then, unless another one has it at the time now.
	Lease(name, holder string, now, until time.Time) (bool, error)
	EnrolmentTx
	DesiredTx
	ActionTx
	FeedTx
	HistoryTx
	ProgressTx
}

// EnrolmentTx holds tokens, challenges, certificates, devices and channels.
type EnrolmentTx interface {
	// Claim reads what a certificate's claim to speak for a channel is judged by, and what else the request is about.
	Claim(q Contacted) (*ClaimRows, error)
	Token(key adminapi.Key) (*TokenRow, error)
	TokenByHash(hash string) (*TokenRow, error)
	Tokens(after string, limit int) ([]TokenRow, error)
	PutToken(TokenRow) error
	DeleteToken(key adminapi.Key) error

	// Automated is an automated enrolment, AutomatedDevice the device with a serial number, AutomatedDevices are all of one enrolment by serial number.
	Automated(key adminapi.Key) (*AutomatedRow, error)
	Automateds(after string, limit int) ([]AutomatedRow, error)
	PutAutomated(AutomatedRow) error
	// DeleteAutomated forgets an automated enrolment with its devices.
	DeleteAutomated(key adminapi.Key) error
	AutomatedDevice(serialNumber string) (*AutomatedDeviceRow, error)
	AutomatedDevices(key adminapi.Key) ([]AutomatedDeviceRow, error)
	CountAutomatedDevices(key adminapi.Key) (int, error)
	// PutAutomatedDevices puts any number, taking them over from other automated enrolments. DeleteAutomatedDevices leaves devices of others alone.
	PutAutomatedDevices([]AutomatedDeviceRow) error
	DeleteAutomatedDevices(key adminapi.Key, serialNumbers []string) error

	// Agent finds an agent by the hash of its node key, AgentsOn those with the hardware UUID, if it is not empty.
	Agent(nodeKeyHash string) (*AgentRow, error)
	AgentsOn(hardwareUUID string) ([]AgentRow, error)
	PutAgent(AgentRow) error
	DeleteAgent(nodeKeyHash string) error
	// DeleteAgentsToEnrol forgets the agents of a token that are to enrol (AgentView), DeleteStrandedAgents such agents of all tokens if they were
	// created before the given time or their token is unknown, expired or used up.
	DeleteAgentsToEnrol(token adminapi.Key) error
	DeleteStrandedAgents(createdBefore, now time.Time) error
	// AgentViews lists what the notices of all agents depend on, or only of the one whose node key has the hash, if that is not empty.
	AgentViews(nodeKeyHash string) ([]AgentView, error)

	Challenge(secretHash string) (*ChallengeRow, error)
	PutChallenge(ChallengeRow) error
	DeleteChallenges(expiredBefore time.Time) error

	Enrollment(id string) (*EnrollmentRow, error)
	PutEnrollment(EnrollmentRow) error
	// DeleteUnusedEnrollments forgets enrolments issued before the given time that no device ever used.
	DeleteUnusedEnrollments(issuedBefore time.Time) error

	Identity(fingerprint string) (*IdentityRow, error)
	// IdentityWithKey finds the first certificate of a Windows device that was issued for the public key.
	IdentityWithKey(publicKeySHA256 string) (*IdentityRow, error)
	// IdentityWithThumbprint finds a certificate of the enrolment.
	IdentityWithThumbprint(enrollmentID, thumbprint string) (*IdentityRow, error)
	PutIdentity(IdentityRow) error
	// RejectIdentities sets RejectAfter on the enrolment's identities, but for the one to keep and those rejected earlier.
	RejectIdentities(enrollmentID, keep string, after time.Time) error
	DeleteIdentities(expiredBefore time.Time) error

	Device(id string) (*DeviceRow, error)
	// DeviceWithSerial finds a device with this serial number and another id whose enrolment has not ended, an enrolled one first.
	DeviceWithSerial(serial, otherThan string) (*DeviceRow, error)
	Devices(after string, limit int) ([]DeviceRow, error)
	PutDevice(DeviceRow) error
	// SetLastSeen stores the last contacts of any number of devices and takes marks of silence away; returned are the devices that had one.
	SetLastSeen(seen map[string]time.Time) (returned []string, err error)
	// SilentDevices lists enrolled devices last seen before the given time that are not marked silent.
	SilentDevices(before time.Time, limit int) ([]DeviceRow, error)
	// QuietDevices lists enrolled devices last seen before the given time that are not marked silent and whose own channel waits for nothing.
	QuietDevices(before time.Time, limit int) ([]DeviceRow, error)
	// AbandonedDevices lists pending Windows devices last seen before the given time.
	AbandonedDevices(before time.Time, limit int) ([]DeviceRow, error)
	// RenewableDevices lists enrolled Apple devices whose renewal is due and whose own channel waits for nothing.
	RenewableDevices(now time.Time, limit int) ([]DeviceRow, error)
	FleetCounts() (FleetCounts, error)

	Channel(id string) (*ChannelRow, error)
	ChannelsOf(deviceID string) ([]ChannelRow, error)
	PutChannel(ChannelRow) error
	// DeleteUserChannels deletes the user channels of a device, or only the one with this id.
	DeleteUserChannels(deviceID, onlyID string) error
	// DueChannels lists channels that can be pushed to (they have a push token) and whose WakeAt has come.
	DueChannels(now time.Time, limit int) ([]ChannelRow, error)
	// WakeChannel, WakeDevice and WakeArtifact set WakeAt and clear Wakes: of a channel, of all channels of a device, of all on which the
	// artifact is pending or recorded. Channels that are not enabled are left alone.
	WakeChannel(channelID string, at time.Time) error
	WakeDevice(deviceID string, at time.Time) error
	WakeArtifact(key adminapi.Key, at time.Time) error
}

// DesiredTx holds artifacts, assignments and what is on the channels.
type DesiredTx interface {
	// Work reads what waits for a channel.
	Work(deviceID, channelID string) (*WorkRows, error)
	Artifact(key adminapi.Key) (*ArtifactRow, error)
	// ArtifactByIdentifier finds the artifact that owns the identifier in the scope; a withdrawn one owns nothing.
	ArtifactByIdentifier(scope adminapi.Scope, identifier string) (*ArtifactRow, error)
	Artifacts(after string, limit int) ([]ArtifactRow, error)
	PutArtifact(ArtifactRow) error
	DeleteArtifact(key adminapi.Key) error
	ArtifactCounts(key adminapi.Key) (ArtifactCounts, error)

	AssignmentsOf(deviceID string) ([]adminapi.Key, error)
	PutAssignment(deviceID string, artifact adminapi.Key) error
	DeleteAssignment(deviceID string, artifact adminapi.Key) error
	DeleteAssignmentsOf(artifact adminapi.Key) error

	// Nodes lists the LocURIs that an artifact for Windows writes; PutNodes replaces them.
	Nodes(artifact adminapi.Key) ([]string, error)
	PutNodes(artifact adminapi.Key, nodes []string) error
	// AssignedArtifacts lists the artifacts of the channel's platform and scope that are assigned to its device and not withdrawn, by key.
	AssignedArtifacts(channelID string) ([]ArtifactRow, error)
	// StatesToVerify lists the installed states of a channel whose VerifyAt has come.
	StatesToVerify(channelID string, now time.Time) ([]StateRow, error)
	// Records lists all records of a channel, by identifier.
	Records(channelID string) ([]RecordRow, error)

	// Session is the latest OMA-DM session of a device.
	Session(deviceID string) (*SessionRow, error)
	PutSession(SessionRow) error

	State(channelID string, artifact adminapi.Key) (*StateRow, error)
	// OpenStates lists the states of a channel that are not final, by artifact.
	OpenStates(channelID string) ([]StateRow, error)
	PutState(StateRow) error
	// SeedDevice and SeedArtifact add the missing states of a device or of an artifact: one for each enabled channel and each artifact
	// assigned to its device that exists in the channel's scope. A state is Installed if the channel's record has the very digest
	// and no removal was sent, else Pending.
	SeedDevice(deviceID string, now time.Time) error
	SeedArtifact(key adminapi.Key, now time.Time) error
	// DropUnassigned deletes the states of a device whose artifact is no longer assigned to it.
	DropUnassigned(deviceID string) error
	DeleteStatesOf(artifact adminapi.Key) error
	// ResetStates makes all states of an artifact that have another digest pending for this one.
	ResetStates(artifact adminapi.Key, digest string, now time.Time) error
	// FailingOf lists failed states of a device, FailingDevices those of an artifact on devices that are not ignored, oldest first;
	// limit 0 lists all.
	FailingOf(deviceID string, limit int) ([]StateRow, error)
	FailingDevices(artifact adminapi.Key, limit int) ([]StateRow, error)
	CountFailing(deviceID string) (int, error)

	Record(channelID, identifier string) (*RecordRow, error)
	PutRecord(RecordRow) error
	DeleteRecord(channelID, identifier string) error
	DeleteRecordsOf(artifact adminapi.Key) error
	// RecordedArtifacts lists the artifacts of which any channel of the device has a record.
	RecordedArtifacts(deviceID string) ([]adminapi.Key, error)
	// CountRecords counts the records of an artifact on all channels.
	CountRecords(artifact adminapi.Key) (int, error)

	Command(uuid string) (*CommandRow, error)
	PutCommand(CommandRow) error
	DeleteCommand(uuid string) error
	// ClearChannel deletes states, records and commands of one channel; ClearDevice those of all channels, the assignments and the session.
	ClearChannel(channelID string) error
	ClearDevice(deviceID string) error
	// Reoffer makes everything that a channel was sent or deferred ready again.
	Reoffer(channelID string) error
}

// ActionTx holds actions and their targets.
type ActionTx interface {
	// Action finds an action by key and hash; an empty hash finds the newest of the key.
	Action(key adminapi.Key, specHash string) (*ActionRow, error)
	ActionByID(id string) (*ActionRow, error)
	// Actions lists the newest action of each key.
	Actions(after string, limit int) ([]ActionRow, error)
	PutAction(ActionRow) error
	// DeleteActions forgets actions that finished before the given time, with their targets. ExcessActions returns a time for it that leaves the newest
	// finished actions, keep of them at most, and zero if there are no more.
	DeleteActions(finishedBefore time.Time) error
	ExcessActions(keep int) (time.Time, error)

	Target(actionID, deviceID string) (*TargetRow, error)
	Targets(actionID, after string, limit int) ([]TargetRow, error)
	PutTarget(TargetRow) error
	// OpenTargets lists the open targets of a device in the order of their actions, OpenTargetsOf those of an action.
	OpenTargets(deviceID string) ([]TargetRow, error)
	OpenTargetsOf(actionID string) ([]TargetRow, error)
	// FinishAction notes that the action is finished, if none of its targets is open.
	FinishAction(actionID string, at time.Time) error
	// TrimResults forgets the answers of all but the newest finished targets of a device that have one.
	TrimResults(deviceID string, keep int) error
	// OverdueTargets lists open targets whose deadline is over. UnansweredTargets lists delivered ones of these request types that
	// were delivered before the given time.
	OverdueTargets(now time.Time, limit int) ([]TargetRow, error)
	UnansweredTargets(requestTypes []string, deliveredBefore time.Time, limit int) ([]TargetRow, error)
	// Outcomes counts the targets of an action by state and lists those that ended last.
	Outcomes(actionID string, limit int) (map[adminapi.TargetState]int, []TargetRow, error)
}

// FeedTx holds what the manager has not seen, and a few words about the store itself.
type FeedTx interface {
	// Meta reads a word about the store; "" if it was never set.
	Meta(name string) (string, error)
	SetMeta(name, value string) error
	// NextVersion returns a number that is higher than all before.
	NextVersion() (int64, error)

	// PutDirty marks a row: its new version can be delivered at once.
	PutDirty(DirtyRow) error
	// DueDirty lists rows that are neither put off nor leased to this epoch or a higher one, lowest version first.
	DueDirty(now time.Time, leaseEpoch int64, limit int) ([]DirtyRow, error)
	// NextDirty returns when the next row falls due that is put off or leased; zero if there is none.
	NextDirty(now time.Time) (time.Time, error)
	// LeaseDirty hands a version to the manager of an epoch until the given time.
	LeaseDirty(row DirtyRow, leaseEpoch int64, until time.Time) error
	// DeleteDirty and PostponeDirty change exactly the version named; another version is left alone.
	DeleteDirty(DirtyRow) error
	PostponeDirty(row DirtyRow, until time.Time) error
}

// HistoryTx holds what happened to devices.
type HistoryTx interface {
	// AppendHistory stores an entry; Seq is from NextVersion.
	AppendHistory(adminapi.HistoryEntry) error
	// HistoryOf lists the newest entries of a device, newest first, HistoryAfter those after a number, oldest first.
	HistoryOf(deviceID string, limit int) ([]adminapi.HistoryEntry, error)
	HistoryAfter(seq int64, limit int) ([]adminapi.HistoryEntry, error)
	// LastHistory is the number of the newest entry, 0 if there is none.
	LastHistory() (int64, error)
	// DeleteHistory deletes those of the first entries, limit of them, that are from before the time, and says how many they were.
	DeleteHistory(before time.Time, limit int) (int, error)
	// TrimHistory deletes all but the newest entries of a device.
	TrimHistory(deviceID string, keep int) error
}

// ProgressTx lists how far artifacts are on devices.
type ProgressTx interface {
	// ProgressOf lists all of a device: by part, channel and artifact.
	ProgressOf(deviceID string) ([]ProgressRow, error)
	// Progress lists an artifact on the devices that are not ignored, in the order of ProgressPlace and after it.
	Progress(artifact adminapi.Key, after ProgressPlace, limit int) ([]ProgressRow, error)
}
