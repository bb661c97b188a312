package windows_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
)

func TestActionsHaveConsequences(t *testing.T) {
	s := newServer(t)
	pc := s.enrolled(nil)
	pc.SetNode(camera, windows.Node{Format: "int", Data: "0"})
	s.gives(do("1", "Exec", "./Device/Vendor/MSFT/Reboot/RebootNow", "null", ""))
	session(t, pc, windows.SessionOptions{})
	if pc.Restarts() != 1 || s.statuses()["1"] != 200 {
		t.Errorf("restarted %d times", pc.Restarts())
	}
	s.gives(do("1", "Exec", "./Device/Vendor/MSFT/DMClient/Provider/Test/Unenroll", "chr", "Test"))
	session(t, pc, windows.SessionOptions{})
	if _, kept := pc.Node(camera); pc.Enrolled() || kept || s.statuses()["1"] != 200 {
		t.Errorf("after Unenroll: enrolled %v, setting kept %v", pc.Enrolled(), kept)
	}
	fatal(t, pc.EnrollWithPassword(t.Context(), s.URL, "ada@example.test", "TOKEN"))
	s.gives(do("1", "Exec", "./Device/Vendor/MSFT/RemoteWipe/doWipeProtected", "chr", ""))
	session(t, pc, windows.SessionOptions{})
	if pc.Enrolled() || pc.Wiped() != "doWipeProtected" {
		t.Errorf("enrolled %v, wiped by %q", pc.Enrolled(), pc.Wiped())
	}
	if _, err := pc.Session(t.Context(), windows.SessionOptions{}); !errors.Is(err, windows.ErrNotEnrolled) {
		t.Errorf("a session of a wiped PC: %v", err)
	}
}

func TestInstallationsGoThroughTheirStates(t *testing.T) {
	s := newServer(t)
	pc := s.enrolled(nil)
	install := func(code string) string {
		node := "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/" + strings.NewReplacer("{", "%7B", "}", "%7D").Replace(code) + "/DownloadInstall"
		job := fmt.Sprintf(`<MsiInstallJob id=%q><Product Version="1.0"><Download><ContentURLList><ContentURL>https://example.test/a.msi</ContentURL></ContentURLList></Download><Validation><FileHash>%064d</FileHash></Validation><Enforcement><CommandLine>/quiet</CommandLine></Enforcement></Product></MsiInstallJob>`, code, 1)
		return do("1"+code, "Add", node, "", "") + do("2"+code, "Exec", node, "xml", job)
	}
	pc.FailInstall("{B}", "1603")
	s.gives(install("{A}") + install("{B}"))
	var states []string
	for range 5 {
		session(t, pc, windows.SessionOptions{})
		a, _ := pc.Node("./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7BA%7D/Status")
		b, _ := pc.Node("./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7BB%7D/Status")
		states = append(states, a.Data+"/"+b.Data)
	}
	if got := strings.Join(states, " "); got != "10/10 20/20 50/50 70/60 70/60" {
		t.Errorf("states %s", got)
	}
	if failed, _ := pc.Node("./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7BB%7D/LastError"); failed.Data != "1603" {
		t.Errorf("LastError %s", failed.Data)
	}
	s.gives(do("1", "Exec", "./Device/Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/%7BA%7D/DownloadInstall", "xml", `<MsiInstallJob id="{A}"/>`))
	session(t, pc, windows.SessionOptions{})
	if s.statuses()["1"] != 400 {
		t.Errorf("half a job: %v", s.statuses())
	}
}

// A clock whose time passes when somebody waits for it.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	waits []time.Duration
	// until is called with each wait; it ends the test.
	until func(count int)
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.waits = append(c.waits, d)
	c.until(len(c.waits))
	return atOnce(d)
}

func TestRunFollowsThePollSchedule(t *testing.T) {
	s := newServer(t)
	ctx, stop := context.WithCancel(t.Context())
	c := &clock{now: time.Now(), until: func(count int) {
		if count == 6 {
			stop()
		}
	}}
	var mu sync.Mutex
	renewed := 0
	s.validity = 42*24*time.Hour + 9*time.Hour // due in nine hours
	pc := s.enrolled(func(o *windows.Options) {
		o.Now, o.After = c.Now, c.After
		o.OnEvent = func(e devicesim.Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Kind == devicesim.EventRenewed {
				renewed++
			}
		}
	})
	if err := pc.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	var minutes []int
	for _, wait := range c.waits {
		if wait > 0 {
			minutes = append(minutes, int(wait.Minutes()))
		}
	}
	if got := fmt.Sprint(minutes[:4]); got != "[3 3 60 480]" {
		t.Errorf("waited %s minutes", got)
	}
	if renewed == 0 || len(s.heard) < 4 {
		t.Errorf("renewed %d times in %d sessions", renewed, len(s.heard))
	}
}

// A PC that left management is brought back by its agent, and ends to run only without one.
func TestRunWithAnAgent(t *testing.T) {
	s := newServer(t)
	s.notice = windows.Notifications{Enroll: true, DiscoveryURL: s.URL + "/EnrollmentServer/Discovery.svc"}
	ctx, stop := context.WithCancel(t.Context())
	pc := s.pc(func(o *windows.Options) {
		o.OnEvent = func(e devicesim.Event) {
			if e.Kind == windows.EventSession {
				stop()
			}
		}
	})
	if err := pc.Run(ctx); !errors.Is(err, windows.ErrNotEnrolled) {
		t.Errorf("without an agent: %v", err)
	}
	pc.InstallAgent(s.URL, "SECRET")
	if err := pc.Run(ctx); !errors.Is(err, context.Canceled) || !pc.Enrolled() {
		t.Errorf("with an agent: %v, enrolled %v", err, pc.Enrolled())
	}
}

func TestALoginWakesAPC(t *testing.T) {
	s := newServer(t)
	ctx, stop := context.WithCancel(t.Context())
	sessions, ended := make(chan struct{}), make(chan error)
	pc := s.enrolled(func(o *windows.Options) {
		o.After = func(time.Duration) <-chan time.Time { return nil } // no poll is ever due
		o.OnEvent = func(e devicesim.Event) {
			if e.Kind == windows.EventSession {
				sessions <- struct{}{}
			}
		}
	})
	go func() { ended <- pc.Run(ctx) }()
	<-sessions // of the enrolment
	pc.SetLogin(windows.LoginNone)
	pc.SetLogin(windows.LoginUser)
	<-sessions
	pc.Sync()
	<-sessions
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
