package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
)

// Explain puts what a person can do before what an API server or a kubeconfig says.
func Explain(err error) error {
	for _, e := range explanations {
		if err != nil && e.applies(err) {
			return fmt.Errorf("%s: %w", e.text, err)
		}
	}
	return err
}

var explanations = []struct {
	applies func(error) bool
	text    string
}{
	{func(err error) bool { return errors.Is(err, context.Canceled) }, "interrupted"},
	{KindUnknown, "KubeMDM is not installed in this cluster, or the context is the wrong one (kubectl config current-context shows it, --context names another)"},
	{apierrors.IsForbidden, "the cluster does not let you do this; --help lists the rights that the command needs, ask for the one that is missing"},
	{apierrors.IsUnauthorized, "the cluster does not know you: sign in again, or name another context with --context"},
	{unreachable, "the API server cannot be reached: see that the cluster runs and that the context is the right one (kubectl config current-context shows it)"},
}

// KindUnknown says whether an API server does not know a kind: its CRD is missing.
func KindUnknown(err error) bool {
	if meta.IsNoMatchError(err) {
		return true
	}
	// The path of a kind that went meanwhile is not found. What was asked for by its name has details of it.
	var status apierrors.APIStatus
	return apierrors.IsNotFound(err) && errors.As(err, &status) && status.Status().Details != nil && status.Status().Details.Name == ""
}

func unreachable(err error) bool {
	var request *url.Error
	return errors.As(err, &request)
}
