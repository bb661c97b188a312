package fleet

import (
	"fmt"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// conflict is an artifact that failed on a channel because another one sets a node of it to another value. It is tried again when either changes.
type conflict struct {
	ChannelID    string
	Artifact     adminapi.Key
	Digest       string
	Winner       adminapi.Key
	WinnerDigest string
}

// contend looks for other artifacts of the channel that set one of the nodes to another value. The first by key wins: lost says that it is another
// one, and one that was installed and loses now has failed.
func (s *winSession) contend(ch *session, st *StateRow, nodes map[string]adminapi.SyncMLCommand) (lost bool, err error) {
	others, err := s.assignedTo(ch)
	if err != nil {
		return false, err
	}
	for _, other := range others {
		if other.row.Key == st.Artifact {
			continue
		}
		node, err := s.disputed(other, nodes)
		if err != nil {
			return false, err
		}
		if node == "" {
			continue
		}
		if other.row.Key < st.Artifact {
			return true, s.lose(ch, st, other.row.Key, other.row.Digest, node)
		}
		state, err := s.tx.State(ch.channel.ID, other.row.Key)
		if err != nil {
			return false, err
		}
		if state != nil && state.Outcome == OutcomeInstalled {
			if err := s.lose(ch, state, st.Artifact, st.Digest, node); err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

// disputed returns a node that the other artifact sets to another value, or "".
func (s *winSession) disputed(other *assignedProfile, nodes map[string]adminapi.SyncMLCommand) (string, error) {
	for _, node := range other.nodes {
		mine, shared := nodes[node]
		if !shared {
			continue
		}
		values, err := s.valuesOf(other)
		if err != nil {
			return "", err
		}
		if theirs := values[node]; !sameValue(mine.Format, mine.Data, theirs.Data) {
			return node, nil
		}
	}
	return "", nil
}

func (s *winSession) lose(ch *session, st *StateRow, winner adminapi.Key, winnerDigest, node string) error {
	s.state.Conflicts = append(s.state.Conflicts, conflict{
		ChannelID: ch.channel.ID, Artifact: st.Artifact, Digest: st.Digest, Winner: winner, WinnerDigest: winnerDigest,
	})
	st.VerifyAt = zeroTime
	message := clip(fmt.Sprintf("%s sets %s to another value", winner, node), maxMessage)
	if err := ch.tellArtifact(st.Artifact, requestInstall, adminapi.HistoryFailed, message); err != nil {
		return err
	}
	return ch.settle(st, OutcomeFailed, message)
}

// releasedConflicts lists the losers whose winner left or was edited.
func (s *winSession) releasedConflicts() ([]conflict, error) {
	var released []conflict
	for _, c := range s.state.Conflicts {
		winner, err := s.tx.State(c.ChannelID, c.Winner)
		if err != nil {
			return nil, err
		}
		if winner == nil || winner.Digest != c.WinnerDigest {
			released = append(released, c)
		}
	}
	return released, nil
}

// releaseConflicts makes released losers pending again and forgets conflicts that an edit of the loser settled.
func (s *winSession) releaseConflicts() error {
	released, err := s.releasedConflicts()
	if err != nil {
		return err
	}
	isReleased := map[conflict]bool{}
	for _, c := range released {
		isReleased[c] = true
	}
	var standing []conflict
	for _, c := range s.state.Conflicts {
		state, err := s.tx.State(c.ChannelID, c.Artifact)
		if err != nil {
			return err
		}
		switch {
		case state == nil || state.Digest != c.Digest || state.Outcome != OutcomeFailed:
		case isReleased[c]:
			if err := s.settle(state, OutcomePending, ""); err != nil {
				return err
			}
		default:
			standing = append(standing, c)
		}
	}
	s.state.Conflicts = standing
	return nil
}
