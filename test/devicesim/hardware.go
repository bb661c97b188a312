package devicesim

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Kind is the family of a device. It decides which commands a device knows and what they need.
type Kind string

// The kinds of device.
const (
	KindMac    Kind = "Mac"
	KindIPhone Kind = "iPhone"
	KindIPad   Kind = "iPad"
)

// Hardware is what a device is, and says of itself in Authenticate and DeviceInformation.
type Hardware struct {
	Kind         Kind
	UDID         string
	SerialNumber string
	DeviceName   string
	Model        string
	ModelName    string
	ProductName  string
	OSVersion    string
	BuildVersion string
}

// Mac is the Mac with this index. The same prefix and index always give the same device.
func Mac(serialPrefix string, index int) Hardware {
	return numbered(Hardware{
		Kind: KindMac, Model: "Mac16,1", ModelName: "MacBook Pro", ProductName: "Mac16,1", OSVersion: "26.1", BuildVersion: "25B78",
	}, serialPrefix, index)
}

// IPhone is the iPhone with this index.
func IPhone(serialPrefix string, index int) Hardware {
	return numbered(Hardware{
		Kind: KindIPhone, Model: "MYD83", ModelName: "iPhone", ProductName: "iPhone17,3", OSVersion: "26.1", BuildVersion: "23B85",
	}, serialPrefix, index)
}

// IPad is the iPad with this index.
func IPad(serialPrefix string, index int) Hardware {
	return numbered(Hardware{
		Kind: KindIPad, Model: "MVV83", ModelName: "iPad", ProductName: "iPad16,5", OSVersion: "26.1", BuildVersion: "23B85",
	}, serialPrefix, index)
}

// serialLength is that of the serial numbers Apple gave until 2021, the longest that are in use.
const serialLength = 12

func numbered(h Hardware, prefix string, index int) Hardware {
	h.SerialNumber = fmt.Sprintf("%s%0*d", prefix, max(serialLength-len(prefix), 1), index)
	h.UDID = strings.ToUpper(uuid.NewSHA1(uuid.NameSpaceOID, []byte(string(h.Kind)+h.SerialNumber)).String())
	h.DeviceName = fmt.Sprintf("%s %d", h.ModelName, index)
	return h
}
