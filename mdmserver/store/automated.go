package store

import (
	"slices"
	"strconv"
	"strings"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

var (
	automated = newTable("automated", 1,
		[]string{"key", "digest", "profiles_json"},
		func(r *fleet.AutomatedRow) []any {
			return []any{&r.Key, &r.Digest, jsonText{&r.Profiles}}
		})
	automatedDevices = newTable("automated_devices", 1,
		[]string{"serial_number", "automated", "profile"},
		func(r *fleet.AutomatedDeviceRow) []any {
			return []any{&r.SerialNumber, &r.Automated, &r.Profile}
		})
)

// rowsAtOnce is how many rows one statement writes: an organisation has tens of thousands of devices.
const rowsAtOnce = 500

func (t *tx) Automated(key adminapi.Key) (*fleet.AutomatedRow, error) {
	return automated.get(t, "key = $1", key)
}

func (t *tx) Automateds(after string, limit int) ([]fleet.AutomatedRow, error) {
	return automated.list(t, "key > $1 ORDER BY key LIMIT $2", after, limit)
}

func (t *tx) PutAutomated(r fleet.AutomatedRow) error { return automated.put(t, r) }

func (t *tx) DeleteAutomated(key adminapi.Key) error {
	if err := t.exec("DELETE FROM automated_devices WHERE automated = $1", key); err != nil {
		return err
	}
	return t.exec("DELETE FROM automated WHERE key = $1", key)
}

func (t *tx) AutomatedDevice(serialNumber string) (*fleet.AutomatedDeviceRow, error) {
	return automatedDevices.get(t, "serial_number = $1", serialNumber)
}

func (t *tx) AutomatedDevices(key adminapi.Key) ([]fleet.AutomatedDeviceRow, error) {
	return automatedDevices.list(t, "automated = $1 ORDER BY serial_number", key)
}

func (t *tx) CountAutomatedDevices(key adminapi.Key) (int, error) {
	n, err := t.number("SELECT COUNT(*) FROM automated_devices WHERE automated = $1", key)
	return int(n), err
}

func (t *tx) PutAutomatedDevices(rows []fleet.AutomatedDeviceRow) error {
	for chunk := range slices.Chunk(rows, rowsAtOnce) {
		var values []string
		var args []any
		for i := range chunk {
			args = append(args, automatedDevices.fields(&chunk[i])...)
			values = append(values, "("+params(3*i+1, 3)+")")
		}
		err := t.exec("INSERT INTO automated_devices (serial_number, automated, profile) VALUES "+strings.Join(values, ", ")+
			" ON CONFLICT (serial_number) DO UPDATE SET automated = excluded.automated, profile = excluded.profile", args...)
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) DeleteAutomatedDevices(key adminapi.Key, serialNumbers []string) error {
	for chunk := range slices.Chunk(serialNumbers, rowsAtOnce) {
		args := []any{key}
		for _, serial := range chunk {
			args = append(args, serial)
		}
		if err := t.exec("DELETE FROM automated_devices WHERE automated = $1 AND serial_number IN ("+params(2, len(chunk))+")", args...); err != nil {
			return err
		}
	}
	return nil
}

// params names n parameters from the first on.
func params(first, n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = "$" + strconv.Itoa(first+i)
	}
	return strings.Join(names, ", ")
}
