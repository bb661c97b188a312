package main

import (
	"errors"
	"fmt"
	"io/fs"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func statusCommand(open func() (platform, error)) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Tell whether the agent runs, and what is enrolled",
		Long:    "Tell whether the agent runs, and whether it and Windows are enrolled, from an elevated prompt.",
		Example: "  kubemdm-agent status",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sys, err := elevated(open)
			if err != nil {
				return err
			}
			s, err := statusOf(sys)
			if err != nil {
				return err
			}
			out := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, line := range [][2]string{{"Service", s.service}, {"Server", s.server}, {"Agent", enrolled(s.agent)}, {"Windows", enrolled(s.windows)}} {
				fmt.Fprintf(out, "%s:\t%s\n", line[0], line[1])
			}
			return out.Flush()
		},
	}
}

// status is what people are told.
type status struct {
	service, server string
	// agent and windows are true when they are enrolled.
	agent, windows bool
}

func statusOf(sys platform) (status, error) {
	folder, err := dataFolder(sys)
	if err != nil {
		return status{}, err
	}
	config, err := folder.Config()
	if errors.Is(err, fs.ErrNotExist) {
		config.Server = "none"
	} else if err != nil {
		return status{}, err
	}
	s := status{server: config.Server, agent: folder.HasNodeKey()}
	if s.service, err = sys.ServiceState(); err != nil {
		return s, err
	}
	s.windows, err = sys.Enrolled()
	return s, err
}

func enrolled(yes bool) string {
	if yes {
		return "enrolled"
	}
	return "not enrolled"
}
