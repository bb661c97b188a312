package doing

import (
	"errors"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// denied stands before the message of an admission policy in what the API server says.
const denied = "denied request: "

// Refusal is the message of an admission policy, or of a webhook, alone, if that is why something was refused. It is written for people and says what to do;
// everything else is returned as it is.
func Refusal(err error) error {
	if message, is := Denied(err); is {
		return errors.New(message)
	}
	return err
}

// Denied is the message of an admission policy or of a webhook, if that is why something was refused.
func Denied(err error) (message string, is bool) {
	var status apierrors.APIStatus
	if err == nil || !errors.As(err, &status) {
		return "", false
	}
	_, message, is = strings.Cut(status.Status().Message, denied)
	return message, is
}
