package main

import (
	"context"
	"log/slog"

	"github.com/kubemdm/kubemdm/cmd/kubemdm-agent/internal/agent"
	"github.com/kubemdm/kubemdm/internal/agentapi"
)

// platform is what the commands ask of the operating system; system.Windows implements it and says what each call means.
type platform interface {
	agent.Windows
	Machine() (agentapi.EnrollRequest, error)
	Enrolled() (bool, error)

	InstallService(executable string, args ...string) error
	StopService() error
	RemoveService() error
	ServiceState() (string, error)
	RunService(run func(context.Context, *slog.Logger) error) error

	DataFolder() (string, error)
	ProgramFolder() (string, error)
	Elevated() bool
	RemoveLater(path string) error
}
