package system

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	eventsource "golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"

	"github.com/kubemdm/kubemdm/cmd/kubemdm-agent/internal/eventlog"
)

const (
	// serviceName is also the source of the agent's events.
	serviceName = "KubeMDMAgent"

	// restartAfter is the pause before Windows restarts an agent that has ended by itself; its failures are forgotten after resetSeconds.
	restartAfter = time.Minute
	resetSeconds = 24 * 60 * 60

	stopTimeout = 30 * time.Second
	stopPoll    = 100 * time.Millisecond
)

var errNotStopping = fmt.Errorf("the service %s does not stop within %v", serviceName, stopTimeout)

// InstallService registers an executable as the agent's service, or changes the one that is there, and starts it.
func (Windows) InstallService(executable string) error {
	return withManager(func(m *mgr.Mgr) error {
		service, err := createOrUpdate(m, executable)
		if err != nil {
			return fmt.Errorf("installing the service %s: %w", serviceName, err)
		}
		defer service.Close()
		actions := []mgr.RecoveryAction{{Type: mgr.ServiceRestart, Delay: restartAfter}}
		if err := errors.Join(service.SetRecoveryActions(actions, resetSeconds), service.SetRecoveryActionsOnNonCrashFailures(true)); err != nil {
			return fmt.Errorf("having the service %s restarted after a failure: %w", serviceName, err)
		}
		if err := service.Start(); err != nil {
			return fmt.Errorf("starting the service %s: %w", serviceName, err)
		}
		return nil
	})
}

func createOrUpdate(m *mgr.Mgr, executable string) (*mgr.Service, error) {
	config := mgr.Config{
		ServiceType: windows.SERVICE_WIN32_OWN_PROCESS, StartType: mgr.StartAutomatic, DelayedAutoStart: true, ErrorControl: mgr.ErrorNormal,
		DisplayName: "KubeMDM Agent", Description: "Enrols this PC in the device management of your organisation.",
	}
	service, err := m.OpenService(serviceName)
	if err == nil {
		config.BinaryPathName = `"` + executable + `" run`
		return service, service.UpdateConfig(config)
	}
	if err := eventsource.InstallAsEventCreate(serviceName, eventsource.Info|eventsource.Warning|eventsource.Error); err != nil {
		return nil, err
	}
	return m.CreateService(serviceName, executable, config, "run")
}

// StopService stops the agent's service and waits for its end; there may be none.
func (Windows) StopService() error {
	return withService(func(service *mgr.Service) error {
		if _, err := service.Control(svc.Stop); errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
			return nil
		} else if err != nil {
			return fmt.Errorf("stopping the service %s: %w", serviceName, err)
		}
		ticker := time.NewTicker(stopPoll)
		defer ticker.Stop()
		for end := time.Now().Add(stopTimeout); time.Now().Before(end); <-ticker.C {
			if status, err := service.Query(); err != nil || status.State == svc.Stopped {
				return err
			}
		}
		return errNotStopping
	})
}

// RemoveService removes the agent's service, which is stopped, and the source of its events; there may be none.
func (Windows) RemoveService() error {
	return withService(func(service *mgr.Service) error {
		return errors.Join(service.Delete(), eventsource.Remove(serviceName))
	})
}

// ServiceState is "running", "stopped", "changing" or "not installed".
func (Windows) ServiceState() (string, error) {
	state := "not installed"
	err := withService(func(service *mgr.Service) error {
		status, err := service.Query()
		switch status.State {
		case svc.Running:
			state = "running"
		case svc.Stopped:
			state = "stopped"
		default:
			state = "changing"
		}
		return err
	})
	return state, err
}

// withService calls with the agent's service, and does nothing if there is none.
func withService(do func(*mgr.Service) error) error {
	return withManager(func(m *mgr.Mgr) error {
		service, err := m.OpenService(serviceName)
		if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("opening the service %s: %w", serviceName, err)
		}
		defer service.Close()
		return do(service)
	})
}

func withManager(do func(*mgr.Mgr) error) error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("opening the services: %w", err)
	}
	return errors.Join(do(m), m.Disconnect())
}

// IsService is true in a process that Windows started as a service.
func (Windows) IsService() (bool, error) { return svc.IsWindowsService() }

// RunService runs the agent as the service that this process is, until Windows stops it. It logs to the event log.
func (Windows) RunService(run func(context.Context, *slog.Logger) error) error {
	events, err := eventsource.Open(serviceName)
	if err != nil {
		return fmt.Errorf("opening the event log: %w", err)
	}
	defer events.Close()
	return svc.Run(serviceName, handler{run, slog.New(eventlog.NewHandler(events))})
}

type handler struct {
	run func(context.Context, *slog.Logger) error
	log *slog.Logger
}

// Execute implements svc.Handler. An agent that ends by itself has failed, and Windows restarts it.
func (h handler) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (specific bool, exitCode uint32) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- h.run(ctx, h.log) }()
	status <- svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
	for {
		select {
		case err := <-ended:
			h.log.Error("the agent has ended", "error", err)
			return true, 1
		case request := <-requests:
			switch request.Cmd {
			case svc.Interrogate:
				status <- request.CurrentStatus
			case svc.Stop, svc.Shutdown:
				status <- svc.Status{State: svc.StopPending}
				cancel()
				<-ended
				return false, 0
			}
		}
	}
}
