package storetest

import (
	"fmt"
	"reflect"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// fill sets every field of the value to something that is not zero and depends on the seed.
func fill(v reflect.Value, seed int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d", seed))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(seed))
	case reflect.Slice:
		fillSlice(v, seed)
	case reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		fill(value, seed)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("label"), value)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), seed)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(now.Add(time.Duration(seed) * time.Second)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), seed+i)
		}
	default:
		panic("no filling for " + v.Type().String())
	}
}

func fillSlice(v reflect.Value, seed int) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		v.SetBytes([]byte{0, byte(seed), 255})
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), 2, 2))
	for i := range v.Len() {
		fill(v.Index(i), seed+i)
	}
}

// full returns a row without zero fields, after keys has set those that refer to other rows.
func full[T any](keys func(*T)) T {
	var row T
	fill(reflect.ValueOf(&row).Elem(), 1)
	keys(&row)
	return row
}

// kept puts a full row, reads it back, and does the same with an empty one in its place.
func kept[T any](s *suite, keys func(*T), put func(T) error, read func() (*T, error)) {
	s.Helper()
	var empty T
	keys(&empty)
	for _, row := range []T{full(keys), empty, full(keys)} {
		if err := put(row); err != nil {
			s.Errorf("%T: %v", row, err)
			continue
		}
		got, err := read()
		if err != nil || got == nil || !reflect.DeepEqual(*got, row) {
			s.Errorf("put %+v\nread %+v, %v", row, got, err)
		}
	}
}

func (s *suite) rows() {
	s.update(func(tx fleet.Tx) {
		if row := get[*fleet.DeviceRow](s)(tx.Device("nobody")); row != nil {
			s.Errorf("a row that was never put is %+v", row)
		}
		kept(s, func(r *fleet.TokenRow) { r.Key = "t" }, tx.PutToken, func() (*fleet.TokenRow, error) { return tx.Token("t") })
		kept(s, func(r *fleet.ChallengeRow) { r.SecretHash = "c" }, tx.PutChallenge, func() (*fleet.ChallengeRow, error) { return tx.Challenge("c") })
		kept(s, func(r *fleet.EnrollmentRow) { r.ID = "e" }, tx.PutEnrollment, func() (*fleet.EnrollmentRow, error) { return tx.Enrollment("e") })
		kept(s, func(r *fleet.IdentityRow) { r.Fingerprint = "i" }, tx.PutIdentity, func() (*fleet.IdentityRow, error) { return tx.Identity("i") })
		kept(s, func(r *fleet.DeviceRow) { r.ID = "D" }, tx.PutDevice, func() (*fleet.DeviceRow, error) { return tx.Device("D") })
		kept(s, func(r *fleet.ChannelRow) { r.ID, r.DeviceID = "D", "D" }, tx.PutChannel, func() (*fleet.ChannelRow, error) { return tx.Channel("D") })
		kept(s, func(r *fleet.ArtifactRow) { r.Key = "p" }, tx.PutArtifact, func() (*fleet.ArtifactRow, error) { return tx.Artifact("p") })
		kept(s, func(r *fleet.StateRow) { r.ChannelID, r.Artifact = "D", "p" }, tx.PutState, func() (*fleet.StateRow, error) { return tx.State("D", "p") })
		kept(s, func(r *fleet.RecordRow) { r.ChannelID, r.Identifier = "D", "x" }, tx.PutRecord, func() (*fleet.RecordRow, error) { return tx.Record("D", "x") })
		kept(s, func(r *fleet.CommandRow) { r.ChannelID, r.Kind, r.Key, r.UUID = "D", "k", "k", "u" }, tx.PutCommand,
			func() (*fleet.CommandRow, error) { return tx.Command("u") })
		kept(s, func(r *fleet.SessionRow) { r.DeviceID = "D" }, tx.PutSession, func() (*fleet.SessionRow, error) { return tx.Session("D") })
		kept(s, func(r *fleet.AutomatedRow) { r.Key = "ns/a" }, tx.PutAutomated, func() (*fleet.AutomatedRow, error) { return tx.Automated("ns/a") })
		kept(s, func(r *fleet.AgentRow) { r.NodeKeyHash = "n" }, tx.PutAgent, func() (*fleet.AgentRow, error) { return tx.Agent("n") })
		kept(s, func(r *fleet.ActionRow) { r.ID, r.Key = "a", "ns/a" }, tx.PutAction, func() (*fleet.ActionRow, error) { return tx.ActionByID("a") })
		kept(s, func(r *fleet.TargetRow) { r.ActionID, r.DeviceID = "a", "D" }, tx.PutTarget, func() (*fleet.TargetRow, error) { return tx.Target("a", "D") })
	})
}

func (s *suite) pages() {
	s.update(func(tx fleet.Tx) {
		for _, k := range []string{"b", "d", "a", "c"} {
			s.must(tx.PutToken(fleet.TokenRow{Token: adminapi.Token{Key: adminapi.Key(k)}}))
			s.must(tx.PutDevice(fleet.DeviceRow{ID: k}))
			s.must(tx.PutArtifact(fleet.ArtifactRow{Key: adminapi.Key(k), Identifier: k}))
			s.must(tx.PutAction(fleet.ActionRow{ID: k, Key: adminapi.Key(k)}))
			s.must(tx.PutAutomated(fleet.AutomatedRow{Key: adminapi.Key(k)}))
		}
		for _, k := range []string{"b", "d", "a", "c"} {
			s.must(tx.PutTarget(fleet.TargetRow{ActionID: "a", DeviceID: k}))
		}
	})
	s.view(func(tx fleet.Tx) {
		for _, page := range []struct {
			after string
			limit int
			names []string
		}{{"", 2, []string{"a", "b"}}, {"b", 2, []string{"c", "d"}}, {"d", 2, nil}} {
			want(s, get[[]fleet.TokenRow](s)(tx.Tokens(page.after, page.limit)), func(r fleet.TokenRow) string { return string(r.Key) }, page.names...)
			want(s, get[[]fleet.DeviceRow](s)(tx.Devices(page.after, page.limit)), deviceID, page.names...)
			want(s, get[[]fleet.ArtifactRow](s)(tx.Artifacts(page.after, page.limit)), func(r fleet.ArtifactRow) string { return string(r.Key) }, page.names...)
			want(s, get[[]fleet.ActionRow](s)(tx.Actions(page.after, page.limit)), func(r fleet.ActionRow) string { return string(r.Key) }, page.names...)
			want(s, get[[]fleet.AutomatedRow](s)(tx.Automateds(page.after, page.limit)), func(r fleet.AutomatedRow) string { return string(r.Key) }, page.names...)
			want(s, get[[]fleet.TargetRow](s)(tx.Targets("a", page.after, page.limit)), func(r fleet.TargetRow) string { return r.DeviceID }, page.names...)
		}
	})
}

func deviceID(r fleet.DeviceRow) string { return r.ID }
