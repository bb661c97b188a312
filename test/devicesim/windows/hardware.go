package windows

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Hardware is what a PC is, and says of itself when it enrols and in DevDetail and DevInfo.
type Hardware struct {
	// DeviceID is how the PC names itself in an enrolment: 32 hexadecimal digits.
	DeviceID string
	// HWDevID is a hash over the hardware: 64 hexadecimal digits.
	HWDevID string
	// UUID and SerialNumber are those of the SMBIOS.
	UUID         string
	SerialNumber string
	Name         string
	OEM          string
	Model        string
	// OSVersion is major.minor.build.revision.
	OSVersion string
	// OSEdition is the number of PRODUCT_* in GetProductInfo: 48 is Windows Pro.
	OSEdition string
	MACs      []string
}

// Laptop is the PC with this index. The same prefix and index always give the same one.
func Laptop(serialPrefix string, index int) Hardware {
	serial := fmt.Sprintf("%s%04d", serialPrefix, index)
	id := uuid.NewSHA1(uuid.NameSpaceOID, []byte("windows "+serial))
	hash := sha256.Sum256(id[:])
	return Hardware{
		DeviceID:     strings.ToUpper(hex.EncodeToString(id[:])),
		HWDevID:      strings.ToUpper(hex.EncodeToString(hash[:])),
		UUID:         strings.ToUpper(uuid.NewSHA1(id, []byte("smbios")).String()),
		SerialNumber: serial,
		Name:         "PC-" + serial,
		OEM:          "Example Computers",
		Model:        "Notebook 14",
		OSVersion:    "10.0.26200.6901",
		OSEdition:    "48",
		MACs:         []string{fmt.Sprintf("02-00-%X-%X-%X-%X", hash[0:1], hash[1:2], hash[2:3], hash[3:4])},
	}
}
