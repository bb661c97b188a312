package storetest

import (
	"fmt"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

func listing(r fleet.AutomatedDeviceRow) string {
	return fmt.Sprintf("%s %s %s", r.SerialNumber, r.Automated, r.Profile)
}

func (s *suite) automated() {
	s.update(func(tx fleet.Tx) {
		for _, key := range []adminapi.Key{"ns/a", "ns/b"} {
			s.must(tx.PutAutomated(fleet.AutomatedRow{Key: key}))
		}
		s.must(tx.PutAutomatedDevices([]fleet.AutomatedDeviceRow{
			{SerialNumber: "C3", Automated: "ns/a"}, {SerialNumber: "C1", Automated: "ns/a", Profile: "macs"}, {SerialNumber: "C2", Automated: "ns/b"},
		}))
		s.must(tx.PutAutomatedDevices(nil))
		want(s, get[[]fleet.AutomatedDeviceRow](s)(tx.AutomatedDevices("ns/a")), listing, "C1 ns/a macs", "C3 ns/a ")
		want(s, get[[]fleet.AutomatedDeviceRow](s)(tx.AutomatedDevices("ns/c")), listing)

		s.must(tx.PutAutomatedDevices([]fleet.AutomatedDeviceRow{{SerialNumber: "C3", Automated: "ns/b", Profile: "x"}, {SerialNumber: "C1", Automated: "ns/a", Profile: "y"}}))
		want(s, get[[]fleet.AutomatedDeviceRow](s)(tx.AutomatedDevices("ns/a")), listing, "C1 ns/a y")
		want(s, get[[]fleet.AutomatedDeviceRow](s)(tx.AutomatedDevices("ns/b")), listing, "C2 ns/b ", "C3 ns/b x")
		s.must(tx.DeleteAutomatedDevices("ns/a", []string{"C1", "C3", "C9"})) // C3 is of another
		s.must(tx.DeleteAutomatedDevices("ns/a", nil))
		for serial, listed := range map[string]bool{"C1": false, "C2": true, "C3": true, "": false} {
			if row := get[*fleet.AutomatedDeviceRow](s)(tx.AutomatedDevice(serial)); (row != nil) != listed {
				s.Errorf("the device %q is %+v, want listed: %v", serial, row, listed)
			}
		}
		s.must(tx.DeleteAutomated("ns/b"))
		s.must(tx.DeleteAutomated("ns/b"))
		if row := get[*fleet.AutomatedRow](s)(tx.Automated("ns/b")); row != nil {
			s.Errorf("a deleted automated enrolment is %+v", row)
		}
		if n := get[int](s)(tx.CountAutomatedDevices("ns/b")); n != 0 {
			s.Errorf("it left %d devices behind", n)
		}
	})
	s.update(func(tx fleet.Tx) { // more than one statement takes
		var many []fleet.AutomatedDeviceRow
		var serials []string
		for i := range 1234 {
			serials = append(serials, fmt.Sprintf("D%04d", i))
			many = append(many, fleet.AutomatedDeviceRow{SerialNumber: serials[i], Automated: "ns/a"})
		}
		s.must(tx.PutAutomatedDevices(many))
		s.must(tx.DeleteAutomatedDevices("ns/a", serials[1:1200]))
		if n := get[int](s)(tx.CountAutomatedDevices("ns/a")); n != 35 {
			s.Errorf("%d devices, want 35", n)
		}
	})
}
