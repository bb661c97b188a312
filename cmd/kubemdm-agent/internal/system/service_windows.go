package system

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
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

	// tryFor bounds the wait for a service, which is looked at every tryEvery.
	tryFor   = 30 * time.Second
	tryEvery = 100 * time.Millisecond
)

var errNoChange = fmt.Errorf("the service %s does not change its state within %v", serviceName, tryFor)

// InstallService registers an executable with its arguments as the agent's service, in place of the one that may be there and is stopped, and starts it.
func (w Windows) InstallService(executable string, args ...string) error {
	if err := w.RemoveService(); err != nil {
		return err
	}
	return withManager(func(m *mgr.Mgr) error {
		service, err := create(m, executable, args)
		if err != nil {
			return fmt.Errorf("installing the service %s: %w", serviceName, err)
		}
		defer service.Close()
		actions := []mgr.RecoveryAction{{Type: mgr.ServiceRestart, Delay: restartAfter}}
		if err := service.SetRecoveryActions(actions, resetSeconds); err != nil {
			return fmt.Errorf("having the service %s restarted after a failure: %w", serviceName, err)
		}
		if err := start(service); err != nil {
			return fmt.Errorf("starting the service %s: %w", serviceName, err)
		}
		return nil
	})
}

// create waits while somebody, such as the console of services, still looks at a service that was removed.
func create(m *mgr.Mgr, executable string, args []string) (service *mgr.Service, err error) {
	if err := errors.Join(removeEvents(), eventsource.InstallAsEventCreate(serviceName, eventsource.Info|eventsource.Warning|eventsource.Error)); err != nil {
		return nil, err
	}
	err = within(func() (bool, error) {
		service, err = m.CreateService(serviceName, executable, mgr.Config{
			StartType: mgr.StartAutomatic, ErrorControl: mgr.ErrorNormal,
			DisplayName: "KubeMDM Agent", Description: "Enrols this PC in the device management of your organisation.",
		}, args...)
		return !errors.Is(err, windows.ERROR_SERVICE_MARKED_FOR_DELETE), err
	})
	return service, err
}

// start waits while Windows is busy with other services, as it is for a while after its own start.
func start(service *mgr.Service) error {
	return within(func() (bool, error) {
		err := service.Start()
		return !errors.Is(err, windows.ERROR_SERVICE_DATABASE_LOCKED), err
	})
}

// StopService stops the agent's service and waits for its end; there may be none.
func (Windows) StopService() error {
	return withService(func(service *mgr.Service) error {
		if _, err := service.Control(svc.Stop); errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
			return nil
		} else if err != nil {
			return fmt.Errorf("stopping the service %s: %w", serviceName, err)
		}
		return within(func() (bool, error) {
			status, err := service.Query()
			return err != nil || status.State == svc.Stopped, err
		})
	})
}

// within tries until it is done, or until too much time has passed.
func within(try func() (done bool, err error)) error {
	ticker := time.NewTicker(tryEvery)
	defer ticker.Stop()
	for end := time.Now().Add(tryFor); time.Now().Before(end); <-ticker.C {
		if done, err := try(); done {
			return err
		}
	}
	return errNoChange
}

// RemoveService removes the agent's service, which is stopped, and the source of its events; there may be none.
func (Windows) RemoveService() error {
	return withService(func(service *mgr.Service) error {
		return errors.Join(service.Delete(), removeEvents())
	})
}

// removeEvents removes the source of events; there may be none.
func removeEvents() error {
	if err := eventsource.Remove(serviceName); !errors.Is(err, registry.ErrNotExist) {
		return err
	}
	return nil
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

// RunService runs the agent, in the process that Windows has started as its service, until Windows stops it. It logs to the event log.
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

// Execute implements svc.Handler. An agent that ends by itself has failed. Windows restarts a service only if its process is gone before it said so.
func (h handler) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (specific bool, exitCode uint32) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := h.run(ctx, h.log); err != nil {
			h.log.Error("the agent has failed", "error", err)
		}
	}()
	status <- svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
	for {
		select {
		case <-ended:
			os.Exit(1)
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
