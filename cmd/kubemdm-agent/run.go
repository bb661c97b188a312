package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/cmd/kubemdm-agent/internal/agent"
	"github.com/kubemdm/kubemdm/cmd/kubemdm-agent/internal/orbit"
)

// pollEvery is how often orbit asks too.
const pollEvery = 30 * time.Second

var errNotInstalled = errors.New("no agent is installed here: see kubemdm-agent install --help")

func runCommand(open func() (platform, error)) *cobra.Command {
	every, service := pollEvery, false
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the agent that is installed: the service does",
		Long: `Run the agent that is installed. The service runs this command and logs to the Application log of Windows, with the source KubeMDMAgent. Run
from a prompt, it logs to standard error until Ctrl+C; stop the service before.`,
		Example: "  kubemdm-agent run\n  kubemdm-agent run --poll-every 5s",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sys, err := open()
			if err != nil {
				return err
			}
			run := func(ctx context.Context, log *slog.Logger) error { return serve(ctx, sys, every, log) }
			if service {
				return sys.RunService(run)
			}
			return run(cmd.Context(), slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)))
		},
	}
	c.Flags().DurationVar(&every, "poll-every", every, "how often the server is asked, give or take a tenth")
	c.Flags().BoolVar(&service, "service", false, "run as a service: only Windows can")
	return c
}

// serve works with what install left, until ctx ends.
func serve(ctx context.Context, sys platform, every time.Duration, log *slog.Logger) error {
	folder, err := dataFolder(sys)
	if err != nil {
		return err
	}
	config, err := folder.Config()
	if errors.Is(err, fs.ErrNotExist) {
		return errNotInstalled
	}
	if err != nil {
		return err
	}
	secret, err := folder.Secret()
	if err != nil {
		return fmt.Errorf("reading the enrolment secret: %w", err)
	}
	roots, err := config.Roots()
	if err != nil {
		return err
	}
	server, err := orbit.New(config.Server, roots)
	if err != nil {
		return err
	}
	claim, err := sys.Machine()
	if err != nil {
		return err
	}
	claim.EnrollSecret = secret
	log.Info("the agent runs", "version", version, "server", config.Server)
	agent.New(agent.Options{Server: server, Windows: sys, NodeKey: folder, Claim: claim, PollEvery: every, Log: log}).Run(ctx)
	log.Info("the agent was stopped")
	return nil
}
