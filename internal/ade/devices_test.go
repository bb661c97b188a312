package ade_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/ade"
)

const devices = `{"devices":[
	{"serial_number":"C8TJ500QF1MN","model":"IPAD","description":"IPAD WI-FI 16GB","asset_tag":"39645","color":"black","profile_status":"pushed",
	 "profile_uuid":"88fc4e378fbe","profile_assign_time":"","profile_push_time":"bad","device_assigned_date":"2027-01-01T00:00:00Z",
	 "device_assigned_by":"jane@example.com","os":"iPadOS","device_family":"iPad","mdm_migration_deadline":null},
	{"serial_number":"C02","model":7,"color":null,"op_type":"MODIFIED","op_date":"2027-02-03T04:05:06Z","device_assigned_date":"soon"},
	{"serial_number":""}
], "fetched_until":"", "cursor":"next", "more_to_follow":true}`

func TestPages(t *testing.T) {
	s := newService(t)
	s.on("POST /server/devices", ok(devices))
	s.on("POST /devices/sync", ok(devices))
	c := s.client()
	want := ade.Page{Cursor: "next", More: true, Devices: []ade.Device{
		{
			SerialNumber: "C8TJ500QF1MN", Model: "IPAD", Description: "IPAD WI-FI 16GB", AssetTag: "39645", Color: "black", ProfileStatus: "pushed",
			ProfileUUID: "88fc4e378fbe", AssignedAt: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), AssignedBy: "jane@example.com", OS: "iPadOS", Family: "iPad",
		},
		{SerialNumber: "C02", Model: "7", Op: ade.Modified, OpAt: time.Date(2027, 2, 3, 4, 5, 6, 0, time.UTC)},
	}}
	first, err := c.Fetch(t.Context(), "")
	must(t, err)
	second, err := c.Fetch(t.Context(), "c1")
	must(t, err)
	third, err := c.Sync(t.Context(), "c2")
	must(t, err)
	for _, page := range []ade.Page{first, second, third} {
		if !reflect.DeepEqual(page, want) {
			t.Errorf("%+v", page)
		}
	}
	for i, want := range []string{`{"limit":1000}`, `{"cursor":"c1","limit":1000}`, `{"cursor":"c2","limit":1000}`} {
		if r := s.asked[i+1]; r.body != want || r.header.Get("Content-Type") != "application/json;charset=UTF8" {
			t.Errorf("%s %v", r.body, r.header)
		}
	}
}

func TestAnEmptyList(t *testing.T) {
	s := newService(t)
	s.on("POST /devices/sync", ok(`{"devices":[],"cursor":"c","more_to_follow":false}`))
	page, err := s.client().Sync(t.Context(), "c")
	if err != nil || len(page.Devices) != 0 || page.More || page.Cursor != "c" {
		t.Errorf("%v %+v", err, page)
	}
}

func TestPagesThatDoNotGoOn(t *testing.T) {
	for name, body := range map[string]string{
		"no cursor": `{"devices":[],"more_to_follow":true}`, "the same": `{"devices":[],"cursor":"c","more_to_follow":true}`,
		"no cursor at the end": `{"devices":[]}`, "another document": `{}`,
	} {
		s := newService(t)
		s.on("POST /server/devices", ok(body))
		_, err := s.client().Fetch(t.Context(), "c")
		if f := failure(t, err); f.Kind != ade.Unavailable {
			t.Errorf("%s: %s %v", name, f.Kind, f)
		}
	}
}

func TestASyncNeedsACursor(t *testing.T) {
	s := newService(t)
	_, err := s.client().Sync(t.Context(), "")
	if f := failure(t, err); f.Kind != ade.CursorInvalid || s.calls() != "" {
		t.Errorf("%s %v, %s", f.Kind, f, s.calls())
	}
}
