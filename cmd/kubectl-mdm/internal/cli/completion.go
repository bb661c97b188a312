package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// patience is how long a shell waits for names.
const patience = 5 * time.Second

// Names completes the first argument with the names of a kind in the namespace, and leaves what comes after it to the shell, which knows files.
func (e *Env) Names(list func() client.ObjectList) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		s, err := e.Open()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return names(cmd, s, list(), prefix, client.InNamespace(s.Namespace))
	}
}

// ClusterNames completes the value of a flag with the names of a kind that is in no namespace.
func (e *Env) ClusterNames(list func() client.ObjectList) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		s, err := e.Open()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return names(cmd, s, list(), prefix)
	}
}

// Contexts completes the value of a flag with the contexts of the kubeconfig.
func (e *Env) Contexts(_ *cobra.Command, _ []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	config, err := e.Flags.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var found []cobra.Completion
	for name := range config.Contexts {
		if strings.HasPrefix(name, prefix) {
			found = append(found, name)
		}
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

func names(cmd *cobra.Command, c client.Client, list client.ObjectList, prefix string, in ...client.ListOption) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), patience)
	defer cancel()
	if err := c.List(ctx, list, in...); err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var found []cobra.Completion
	err := meta.EachListItem(list, func(o runtime.Object) error {
		if name := o.(client.Object).GetName(); strings.HasPrefix(name, prefix) {
			found = append(found, name)
		}
		return nil
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}
