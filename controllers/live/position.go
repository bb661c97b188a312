package live

import (
	"encoding/base64"
	"encoding/json"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// maxPosition bounds a resourceVersion, in bytes.
const maxPosition = 64 << 10

// mark is a place in the history of one store of a server.
type mark struct {
	Store string `json:"e"`
	Seq   int64  `json:"n"`
}

// position is the resourceVersion of DeviceEvents: a place in the history of every server, so that one that a list could not reach is caught up with later.
type position struct {
	// Since is when it was taken (Unix milliseconds). Of a server that is not in Servers, all that happened since then comes.
	Since   int64           `json:"t"`
	Servers map[string]mark `json:"s,omitempty"`
}

func newPosition(now time.Time) position {
	return position{Since: now.UnixMilli(), Servers: map[string]mark{}}
}

func (p position) at(server types.NamespacedName) (mark, bool) {
	m, known := p.Servers[server.String()]
	return m, known
}

func (p position) set(server types.NamespacedName, m mark) { p.Servers[server.String()] = m }

// only is the position behind one event of a server, for who begins at it.
func only(server types.NamespacedName, m mark, at time.Time) position {
	return position{Since: at.UnixMilli(), Servers: map[string]mark{server.String(): m}}
}

func (p position) String() string {
	b, _ := json.Marshal(p) // maps of strings and numbers never fail
	return base64.RawURLEncoding.EncodeToString(b)
}

// parsePosition reads a resourceVersion. given is false if a watch is to begin with what there is.
func parsePosition(rv string) (p position, given bool, err error) {
	if rv == "" || rv == "0" {
		return position{}, false, nil
	}
	if len(rv) <= maxPosition {
		b, err := base64.RawURLEncoding.DecodeString(rv)
		if err == nil && json.Unmarshal(b, &p) == nil {
			if p.Servers == nil {
				p.Servers = map[string]mark{}
			}
			return p, true, nil
		}
	}
	return position{}, false, apierrors.NewBadRequest("this is no resourceVersion of deviceevents: use that of a list or of an event as it is")
}
