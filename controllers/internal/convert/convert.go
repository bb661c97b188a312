// Package convert turns what servers say into what a status can hold: bounded texts, times in seconds, names without their namespace.
package convert

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// Text cuts a text to at most limit characters of valid UTF-8, as maxLength in a schema counts them: devices say what they like, and a status that
// the API server refuses would hide all else.
func Text(s string, limit int) string {
	s = strings.ToValidUTF8(s, "")
	for at := range s {
		if limit == 0 {
			return s[:at]
		}
		limit--
	}
	return s
}

// Time is a time in the resolution of the API, or nil for the zero time.
func Time(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	return &metav1.Time{Time: t.Truncate(time.Second)}
}

// Key is the durable name of an object.
func Key(o client.Object) adminapi.Key { return adminapi.Key(o.GetNamespace() + "/" + o.GetName()) }

// Name is the name of the object behind a key.
func Name(key adminapi.Key) string {
	_, name, _ := strings.Cut(string(key), "/")
	return name
}
