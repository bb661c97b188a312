package live

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// The HTTP statuses of our own answers. net/http is the link's.
const (
	statusNotFound    = 404
	statusConflict    = 409
	statusTooLarge    = 413
	statusUnavailable = 503
)

// retryAfter is how many seconds clients wait before they try again when a manager is busy. Nothing else says when: kubectl and client-go come back ten times
// before they show the error, and a server that is down is not up again in seconds.
const retryAfter = 1

func problem(code int32, reason metav1.StatusReason, format string, args ...any) *apierrors.StatusError {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: code, Reason: reason, Message: fmt.Sprintf(format, args...),
	}}
}

func missing(format string, args ...any) error {
	return problem(statusNotFound, metav1.StatusReasonNotFound, format, args...)
}

func conflict(format string, args ...any) error {
	return problem(statusConflict, metav1.StatusReasonConflict, format, args...)
}

func unavailable(format string, args ...any) error {
	return problem(statusUnavailable, metav1.StatusReasonServiceUnavailable, format, args...)
}

func notManaged(namespace string, managed []string) error {
	return missing("this installation of KubeMDM does not manage the namespace %s; it manages %s", namespace, strings.Join(managed, ", "))
}

// explain says what went wrong with a question to a server, and what to do.
func explain(server types.NamespacedName, err error) error {
	if isStatus(err) {
		return err
	}
	name := server.Name
	var said *adminapi.Error
	if !errors.As(err, &said) {
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.New("it did not answer in time")
		}
		return unavailable("the MDMServer %s cannot be reached: %v; its devices and what is declared for them are not affected. See its conditions and pods "+
			"(kubectl describe mdmserver %s; kubectl get pods --selector=mdm.kubemdm.io/server=%s) and try again", name, err, name, name)
	}
	switch said.Code {
	case adminapi.CodeAnotherManager:
		return conflict("the MDMServer %s obeys another manager: if the leader has just changed try again, else stop the second installation", name)
	case adminapi.CodeUnavailable:
		return unavailable("the MDMServer %s cannot answer now: %s; try again", name, said.Message)
	case adminapi.CodeInvalid:
		return apierrors.NewBadRequest(fmt.Sprintf("the MDMServer %s refused it: %s", name, said.Message))
	case adminapi.CodeTooLarge:
		return problem(statusTooLarge, metav1.StatusReasonRequestEntityTooLarge, "the MDMServer %s refused it: %s", name, said.Message)
	}
	return apierrors.NewInternalError(fmt.Errorf("the MDMServer %s failed: %s; its log says more, and an older version of it may not know the question", name, said.Message))
}
