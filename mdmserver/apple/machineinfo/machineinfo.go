package machineinfo

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/kubemdm/kubemdm/internal/xmlplist"
)

// MaxBody bounds a message, in bytes. One with its certificates takes four to six thousand.
const MaxBody = 64 << 10

// maxText bounds what a device says in a field, in bytes.
const maxText = 255

// Info is what the device says (apple/device-management, "MachineInfo"). Only the serial number is always there.
type Info struct {
	SerialNumber string `plist:"SERIAL"`
	UDID         string `plist:"UDID"`
	// Product is the model, such as Mac15,3.
	Product   string `plist:"PRODUCT"`
	Build     string `plist:"VERSION"`
	OSVersion string `plist:"OS_VERSION"`
	IMEI      string `plist:"IMEI"`
	Language  string `plist:"LANGUAGE"`
	// CanRequestSoftwareUpdate: the device understands an answer that asks for a newer version.
	CanRequestSoftwareUpdate bool   `plist:"MDM_CAN_REQUEST_SOFTWARE_UPDATE"`
	SoftwareUpdateDeviceID   string `plist:"SOFTWARE_UPDATE_DEVICE_ID"`
}

// Why machine info is refused.
var (
	// ErrUnsigned: it is no CMS SignedData of one signer, or the signature is wrong.
	ErrUnsigned = errors.New("the machine info is not signed")
	// ErrSigner: the signer's certificate is not one that a trusted authority gives to devices.
	ErrSigner = errors.New("the machine info is not signed by a device of Apple")
	// ErrContent: what is signed is no machine info.
	ErrContent = errors.New("the message holds no machine info")
)

// Parse reads a message once its signature and its signer are verified. The anchors are trusted; nil means Apple's. The error is one of the package's.
func Parse(body []byte, anchors []*x509.Certificate) (Info, error) {
	if anchors == nil {
		anchors = apple
	}
	content, err := verified(body, anchors)
	if err != nil {
		return Info{}, err
	}
	var info Info
	if err := xmlplist.Unmarshal(content, &info); err != nil {
		return Info{}, ErrContent // the decoder's error repeats what it read
	}
	for _, text := range []string{
		info.SerialNumber, info.UDID, info.Product, info.Build, info.OSVersion, info.IMEI, info.Language, info.SoftwareUpdateDeviceID,
	} {
		if len(text) > maxText {
			return Info{}, fmt.Errorf("%w: a field has more than %d bytes", ErrContent, maxText)
		}
	}
	if info.SerialNumber == "" {
		return Info{}, fmt.Errorf("%w: it has no serial number", ErrContent)
	}
	return info, nil
}
