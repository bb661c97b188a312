package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
)

// Ways to enrol.
const (
	byPassword = "password"
	byAgent    = "agent"
)

type windowsOptions struct {
	server, tokenFile, caFile string
	way, user, serialPrefix   string
	legacy, verbose           bool
	count, first              int
	poll, retry               time.Duration
}

func windowsCommand() *cobra.Command {
	o := windowsOptions{}
	c := &cobra.Command{
		Use:   "windows",
		Short: "Simulated Windows PCs that enrol and obey",
		Long: `Simulated Windows PCs that enrol and obey.

Each PC enrols as Settings does, with the token as the password, or has an agent that polls the server until this asks it to make Windows enrol.
It tries until it succeeds, and then has sessions when the server said. A line is printed for each thing that happens to a PC. The PCs run until
SIGTERM and keep nothing: the next run enrols anew, like PCs that were reset.`,
		Example: `  devicesim windows --server https://mdm.example.com --token-file token --ca ca.crt --count 2 --way agent`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	f := c.Flags()
	f.StringVar(&o.server, "server", "", "URL of the server, https://host (required)")
	f.StringVar(&o.tokenFile, "token-file", "", "file with the enrolment token (required)")
	f.StringVar(&o.caFile, "ca", "", "PEM file with the CA of the server; the system's roots are trusted without it")
	f.StringVar(&o.way, "way", byPassword, "how the PCs enrol: password (the token is one) or agent (it is the enrolment secret)")
	f.StringVar(&o.user, "user", "user@example.com", "user name that goes with the password")
	f.BoolVar(&o.legacy, "legacy-csr", false, "write certificate requests as older builds of Windows 10 do")
	f.StringVar(&o.serialPrefix, "serial-prefix", "PC", "how the serial numbers begin; the PC's number follows")
	f.IntVar(&o.count, "count", 1, "number of PCs")
	f.IntVar(&o.first, "first", 1, "number of the first PC")
	f.DurationVar(&o.poll, "poll-interval", 0, "have a session, and the agent poll, this often; 0 is when the server said, and 30s for agents")
	f.DurationVar(&o.retry, "retry-interval", 5*time.Second, "wait this long after a failure")
	f.BoolVar(&o.verbose, "verbose", false, "also print each session")
	for _, name := range []string{"server", "token-file"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
	return c
}

func (o *windowsOptions) run(ctx context.Context, out io.Writer) error {
	server, err := url.Parse(o.server)
	if err != nil || server.Scheme != "https" || server.Host == "" {
		return fmt.Errorf("--server %q is not https://host", o.server)
	}
	if o.way != byPassword && o.way != byAgent {
		return fmt.Errorf("--way %q is neither %s nor %s", o.way, byPassword, byAgent)
	}
	token, err := os.ReadFile(o.tokenFile)
	if err != nil {
		return fmt.Errorf("reading --token-file: %w", err)
	}
	report := printer(out, o.verbose, windows.EventSession)
	pcs, err := o.pcs(report)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	slots := make(chan struct{}, enrolments)
	for _, pc := range pcs {
		group.Go(func() { o.live(ctx, pc, strings.TrimSpace(string(token)), slots, report) })
	}
	group.Wait()
	<-ctx.Done() // PCs that left management stay as they are
	return nil
}

// pcs makes the PCs.
func (o *windowsOptions) pcs(report func(devicesim.Event)) ([]*windows.PC, error) {
	roots, err := readRoots(o.caFile)
	if err != nil {
		return nil, err
	}
	pcs := make([]*windows.PC, o.count)
	for i := range pcs {
		pcs[i], err = windows.New(windows.Options{
			Hardware: windows.Laptop(o.serialPrefix, o.first+i), Roots: roots, LegacyCSR: o.legacy,
			PollInterval: o.poll, AgentInterval: o.poll, RetryInterval: o.retry, OnEvent: report,
		})
		if err != nil {
			return nil, err
		}
	}
	return pcs, nil
}

// live enrols a PC and lets it run. An agent does the enrolling while the PC runs.
func (o *windowsOptions) live(ctx context.Context, pc *windows.PC, token string, slots chan struct{}, report func(devicesim.Event)) {
	if o.way == byAgent {
		pc.InstallAgent(o.server, token)
	}
	for o.way == byPassword && ctx.Err() == nil {
		slots <- struct{}{}
		err := pc.EnrollWithPassword(ctx, o.server, o.user, token)
		<-slots
		if err == nil || errors.Is(err, windows.ErrEnrolled) {
			break
		}
		report(devicesim.Event{Serial: pc.Hardware().SerialNumber, Kind: devicesim.EventFailed, Detail: "to enrol: " + err.Error()})
		select {
		case <-ctx.Done():
		case <-time.After(o.retry):
		}
	}
	_ = pc.Run(ctx)
}
