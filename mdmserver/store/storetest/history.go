package storetest

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

func entryName(e adminapi.HistoryEntry) string { return fmt.Sprintf("%d %s", e.Seq, e.DeviceID) }

func (s *suite) history() {
	s.view(func(tx fleet.Tx) {
		if last := get[int64](s)(tx.LastHistory()); last != 0 {
			s.Errorf("the last of no entries is %d", last)
		}
		want(s, get[[]adminapi.HistoryEntry](s)(tx.HistoryAfter(0, 10)), entryName)
	})
	s.update(func(tx fleet.Tx) {
		kept(s, func(e *adminapi.HistoryEntry) { e.Seq, e.DeviceID = 9, "X" }, tx.AppendHistory, func() (*adminapi.HistoryEntry, error) {
			entries, err := tx.HistoryOf("X", 1)
			return &entries[0], err
		})
		s.must(tx.TrimHistory("X", 0))
		for i := range int64(6) { // in another order than that of the numbers
			seq := (i*5)%6 + 10
			s.must(tx.AppendHistory(adminapi.HistoryEntry{Seq: seq, DeviceID: string("AB"[seq%2]), At: now.Add(time.Duration(seq) * time.Second)}))
		}
		want(s, get[[]adminapi.HistoryEntry](s)(tx.HistoryOf("A", 2)), entryName, "14 A", "12 A")
		want(s, get[[]adminapi.HistoryEntry](s)(tx.HistoryOf("C", 2)), entryName)
		want(s, get[[]adminapi.HistoryEntry](s)(tx.HistoryAfter(11, 3)), entryName, "12 A", "13 B", "14 A")
		want(s, get[[]adminapi.HistoryEntry](s)(tx.HistoryAfter(15, 3)), entryName)
		want(s, get[[]adminapi.HistoryEntry](s)(tx.HistoryAfter(math.MaxInt64, 3)), entryName)
		if last := get[int64](s)(tx.LastHistory()); last != 15 {
			s.Errorf("the last entry is %d", last)
		}
		s.must(tx.TrimHistory("A", 3))
		s.must(tx.TrimHistory("A", 2))
		want(s, get[[]adminapi.HistoryEntry](s)(tx.HistoryAfter(0, 10)), entryName, "11 B", "12 A", "13 B", "14 A", "15 B")
		for _, tc := range []struct {
			before  int // the time, in seconds after now
			limit   int
			deleted int
		}{{11, 10, 0}, {14, 2, 2}, {14, 2, 1}, {15, 10, 1}} {
			if n := get[int](s)(tx.DeleteHistory(now.Add(time.Duration(tc.before)*time.Second), tc.limit)); n != tc.deleted {
				s.Errorf("%+v: %d were deleted", tc, n)
			}
		}
		want(s, get[[]adminapi.HistoryEntry](s)(tx.HistoryAfter(0, 10)), entryName, "15 B")
	})
}

func progressName(r fleet.ProgressRow) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s %s %s %s", r.Part, r.DeviceID, r.ChannelID, r.Artifact, r.State))
}

// progressFleet puts two artifacts on devices A to F in all the ways that there are.
func (s *suite) progressFleet(tx fleet.Tx) {
	for _, key := range []adminapi.Key{"p", "q"} {
		s.must(tx.PutArtifact(fleet.ArtifactRow{Key: key, Identifier: "id." + string(key)}))
	}
	for i, id := range []string{"A", "B", "C", "D", "E", "F"} {
		d := fleet.DeviceRow{ID: id, State: adminapi.DeviceEnrolled, Intent: adminapi.IntentManage, LastSeen: now.Add(time.Duration(i) * time.Second), Silent: id == "B"}
		if id == "F" {
			d.Intent = adminapi.IntentIgnore
		}
		s.must(tx.PutDevice(d))
		for _, channel := range []string{id, id + ":ann"} {
			s.must(tx.PutChannel(fleet.ChannelRow{Channel: fleet.Channel{ID: channel, DeviceID: id}, Enabled: true}))
		}
	}
	state := func(device, channel string, key adminapi.Key, offer fleet.OfferState) {
		s.must(tx.PutAssignment(device, key))
		s.must(tx.PutState(fleet.StateRow{ChannelID: channel, DeviceID: device, Artifact: key, Digest: "v1", Outcome: fleet.OutcomePending, Since: now,
			Offer: fleet.Offer{State: offer, Attempts: 3, NextAttempt: now}}))
	}
	state("B", "B", "p", "")
	state("A", "A:ann", "p", "")
	state("A", "A", "p", fleet.OfferSent)
	state("A", "A", "q", "")
	state("F", "F", "p", "")
	record := func(device, channel, identifier string, offer fleet.OfferState) {
		s.must(tx.PutRecord(fleet.RecordRow{ChannelID: channel, DeviceID: device, Identifier: identifier, Artifact: "p", Digest: "v0", Offer: fleet.Offer{State: offer}}))
	}
	record("A", "A", "id.p", "")
	record("C", "C", "node 1", "")
	record("C", "C", "node 2", fleet.OfferSent)
	record("C", "C:ann", "node 1", "")
	record("F", "F:ann", "node 1", "")
	for _, id := range []string{"D", "E", "F"} {
		s.must(tx.PutAssignment(id, "p"))
	}
	s.must(tx.PutAssignment("C", "unknown"))
}

func (s *suite) progress() {
	s.update(s.progressFleet)
	all := []string{"0 A A p Sent", "0 A A:ann p", "0 B B p", "1 C C p Sent", "1 C C:ann p", "2 D  p", "2 E  p"}
	s.view(func(tx fleet.Tx) {
		for limit := 1; limit <= len(all)+1; limit++ {
			want(s, s.progressPages(tx, limit, len(all)), progressName, all...)
		}
		want(s, get[[]fleet.ProgressRow](s)(tx.Progress("unknown", fleet.ProgressPlace{}, 9)), progressName, "2 C  unknown")
		want(s, get[[]fleet.ProgressRow](s)(tx.ProgressOf("A")), progressName, "0 A A p Sent", "0 A A q", "0 A A:ann p")
		want(s, get[[]fleet.ProgressRow](s)(tx.ProgressOf("C")), progressName, "1 C C p Sent", "1 C C:ann p", "2 C  unknown")
		want(s, get[[]fleet.ProgressRow](s)(tx.ProgressOf("F")), progressName, "0 F F p", "1 F F:ann p")
	})
}

// progressPages reads the list of p in pages.
func (s *suite) progressPages(tx fleet.Tx, limit, most int) []fleet.ProgressRow {
	var found []fleet.ProgressRow
	place := fleet.ProgressPlace{}
	for len(found) <= most {
		rows := get[[]fleet.ProgressRow](s)(tx.Progress("p", place, limit))
		if len(rows) > limit {
			s.Errorf("%d rows, the limit is %d", len(rows), limit)
		}
		if found = append(found, rows...); len(rows) < limit {
			break
		}
		last := rows[len(rows)-1]
		place = fleet.ProgressPlace{Part: last.Part, DeviceID: last.DeviceID, ChannelID: last.ChannelID}
	}
	return found
}

func (s *suite) progressRows() {
	s.update(s.progressFleet)
	s.view(func(tx fleet.Tx) {
		rows := get[[]fleet.ProgressRow](s)(tx.Progress("p", fleet.ProgressPlace{}, 9))
		state := func(device, channel string, offer fleet.OfferState) fleet.StateRow {
			return fleet.StateRow{ChannelID: channel, DeviceID: device, Artifact: "p", Digest: "v1", Outcome: fleet.OutcomePending, Since: now,
				Offer: fleet.Offer{State: offer, Attempts: 3, NextAttempt: now}}
		}
		for i, expected := range map[int]fleet.ProgressRow{
			0: {StateRow: state("A", "A", fleet.OfferSent), Identifier: "id.p", LastSeen: now, Responding: true},
			2: {StateRow: state("B", "B", ""), Identifier: "id.p", LastSeen: now.Add(time.Second)},
			3: {Part: fleet.ProgressRemoving, StateRow: fleet.StateRow{ChannelID: "C", DeviceID: "C", Artifact: "p", Digest: "v0", Offer: fleet.Offer{State: fleet.OfferSent}},
				Identifier: "node 1", LastSeen: now.Add(2 * time.Second), Responding: true},
			5: {Part: fleet.ProgressUnreached, StateRow: fleet.StateRow{DeviceID: "D", Artifact: "p"}, LastSeen: now.Add(3 * time.Second), Responding: true},
		} {
			if !reflect.DeepEqual(rows[i], expected) {
				s.Errorf("row %d is %+v, want %+v", i, rows[i], expected)
			}
		}
	})
}
