package doing

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
)

// Deadline bounds what a verb does besides waiting for the operator.
const Deadline = time.Minute

// Absent says whether an object is not there, while its kind is.
func Absent(err error) bool { return apierrors.IsNotFound(err) && !cli.KindUnknown(err) }

// Server returns the name that was given, or that of the only MDMServer of the namespace.
func Server(ctx context.Context, s *cli.Session, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	list := &mdmv1alpha1.MDMServerList{}
	err := s.List(ctx, list, client.InNamespace(s.Namespace))
	switch {
	case apierrors.IsForbidden(err):
		return "", fmt.Errorf("name the MDMServer with --server: %w", err)
	case err != nil:
		return "", err
	case len(list.Items) == 0:
		return "", fmt.Errorf("there is no MDMServer in the namespace %s: name another one with --namespace", s.Namespace)
	case len(list.Items) == 1:
		return list.Items[0].Name, nil
	}
	names := make([]string, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	slices.Sort(names)
	return "", fmt.Errorf("there are several MDMServers in the namespace %s, so name one with --server: %s", s.Namespace, strings.Join(names, ", "))
}

// Enrolled says whether the Device has a live enrolment.
func Enrolled(d *mdmv1alpha1.Device) bool {
	return d.Status.Enrollment != nil && d.Status.Enrollment.State == mdmv1alpha1.EnrollmentEnrolled
}

// Devices completes names of Devices: as many as are wanted, each once.
func Devices(e *cli.Env, wanted int) cobra.CompletionFunc {
	names := e.Names(func() client.ObjectList { return &mdmv1alpha1.DeviceList{} })
	return func(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= wanted {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found, directive := names(cmd, nil, prefix)
		return slices.DeleteFunc(found, func(name cobra.Completion) bool { return slices.Contains(args, name) }), directive
	}
}

// FlagNames completes the value of a flag with the names of a kind, whatever arguments there are.
func FlagNames(e *cli.Env, list func() client.ObjectList) cobra.CompletionFunc {
	names := e.Names(list)
	return func(cmd *cobra.Command, _ []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return names(cmd, nil, prefix)
	}
}
