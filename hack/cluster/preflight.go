package main

import (
	"errors"
	"fmt"
	"os/exec"
)

// tool is a program of the machine that the cluster cannot do without.
type tool struct {
	name    string
	why     string
	install string // Debian packages
}

func (t tool) check() error {
	if _, err := exec.LookPath(t.name); err != nil {
		return fmt.Errorf("%s is missing: %s (Debian: apt-get install %s)", t.name, t.why, t.install)
	}
	return nil
}

// checkBuildTools tells what is missing to build the artifacts.
func checkBuildTools(missing []artifact) error {
	for _, a := range missing {
		if !a.seccomp {
			continue
		}
		err := errors.Join(
			tool{"gcc", "runc is linked with libseccomp", "gcc libc6-dev"}.check(),
			tool{"pkg-config", "the build of runc finds libseccomp with it", "pkg-config"}.check(),
		)
		if err != nil {
			return err
		}
		if exec.Command("pkg-config", "--exists", "libseccomp").Run() != nil {
			return errors.New("libseccomp is missing: runc confines pods with it (Debian: apt-get install libseccomp-dev)")
		}
	}
	return nil
}
