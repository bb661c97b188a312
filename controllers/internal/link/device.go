package link

import (
	"encoding/json"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// device is a row of the mirror: what tells the device from all others, and what it has in common with devices of its kind, once for all of them. A
// server's rows are a large part of the manager's memory.
type device struct {
	*common
	id, enrollmentID, udid, serialNumber, name, person string
	enrolledAt, configuredAt, identityNotAfter         int64 // in microseconds since 1970; 0: none
}

// common is a device without what is in device.
type common adminapi.Device

// pack makes a row, without what no controller reads.
func (s *Server) pack(d adminapi.Device) *device {
	row := &device{
		id: d.ID, enrollmentID: d.EnrollmentID, udid: d.UDID, serialNumber: d.SerialNumber, name: d.DeviceName, person: d.UserPrincipalName,
		enrolledAt: micro(d.EnrolledAt), configuredAt: micro(d.ConfiguredAt), identityNotAfter: micro(d.IdentityNotAfter),
	}
	if row.udid == row.id {
		row.udid = row.id // as a rule, and so it has its bytes
	}
	d.ID, d.EnrollmentID, d.UDID, d.SerialNumber, d.DeviceName, d.UserPrincipalName = "", "", "", "", "", ""
	d.EnrolledAt, d.ConfiguredAt, d.IdentityNotAfter, d.LastSeen = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	key, _ := json.Marshal(d) // it came as JSON
	row.common = s.commons.Share(string(key), (*common)(&d))
	return row
}

// unpack is the device of a row; the zero device for none.
func (row *device) unpack() adminapi.Device {
	if row == nil {
		return adminapi.Device{}
	}
	d := adminapi.Device(*row.common)
	d.ID, d.EnrollmentID, d.UDID, d.SerialNumber, d.DeviceName, d.UserPrincipalName = row.id, row.enrollmentID, row.udid, row.serialNumber, row.name, row.person
	d.EnrolledAt, d.ConfiguredAt, d.IdentityNotAfter = at(row.enrolledAt), at(row.configuredAt), at(row.identityNotAfter)
	return d
}

func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func at(micro int64) time.Time {
	if micro == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micro).UTC()
}
