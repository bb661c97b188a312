package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/cmd/kubemdm-agent/internal/orbit"
	"github.com/kubemdm/kubemdm/cmd/kubemdm-agent/internal/state"
)

// programName is the agent's file in the program folder.
const programName = "kubemdm-agent.exe"

var errNotElevated = errors.New("this takes the rights of an administrator: run it from an elevated prompt")

// sources are what install is told.
type sources struct{ server, secretFile, caFile string }

func installCommand(open func() (platform, error)) *cobra.Command {
	var from sources
	c := &cobra.Command{
		Use:   "install --server URL --secret-file FILE",
		Short: "Install the agent as a service and start it",
		Long: `Install the agent as a service and start it, from an elevated prompt.

The program is copied to %ProgramFiles%\KubeMDM; the server's address and the enrolment secret go to %ProgramData%\KubeMDM, where only the system
reads the secret. The secret is the token of an EnrollmentToken, on one line. The file it is read from is not needed any more afterwards: remove it.

Installing again replaces the program, the address and the secret. A PC that is enrolled stays so.

--ca-file is for a server whose certificate is not publicly trusted. It is the agent alone that reads it: Windows enrols only at a server whose
certificate is trusted by the machine, so the same certificates must be in the trusted roots of the machine too.`,
		Example: `  kubemdm-agent install --server https://mdm.example.com --secret-file C:\Temp\secret.txt`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			sys, err := elevated(open)
			if err != nil {
				return err
			}
			return install(sys, from)
		},
	}
	c.Flags().StringVar(&from.server, "server", "", "the server's address, such as https://mdm.example.com")
	c.Flags().StringVar(&from.secretFile, "secret-file", "", "a file that holds the enrolment secret")
	c.Flags().StringVar(&from.caFile, "ca-file", "", "a file of CA certificates (PEM) that the agent trusts beside those of Windows")
	_ = errors.Join(c.MarkFlagRequired("server"), c.MarkFlagRequired("secret-file")) // fails only for flags that are not defined
	return c
}

func uninstallCommand(open func() (platform, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "uninstall",
		Short: "Stop the agent and remove it with all that it keeps",
		Long: `Stop the agent and remove it with all that it keeps, from an elevated prompt.

Windows stays enrolled: to end that, delete its Device with deletionPolicy Unenroll first, or use Settings > Accounts > Access work or school.`,
		Example: "  kubemdm-agent uninstall",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			sys, err := elevated(open)
			if err != nil {
				return err
			}
			return uninstall(sys)
		},
	}
}

func elevated(open func() (platform, error)) (platform, error) {
	sys, err := open()
	if err != nil {
		return nil, err
	}
	if !sys.Elevated() {
		return nil, errNotElevated
	}
	return sys, nil
}

// install checks everything before it changes anything.
func install(sys platform, from sources) error {
	config, secret, err := from.read()
	if err != nil {
		return err
	}
	folder, err := dataFolder(sys)
	if err != nil {
		return err
	}
	programs, err := sys.ProgramFolder()
	if err != nil {
		return err
	}
	if err := sys.StopService(); err != nil {
		return err
	}
	if err := folder.Create(); err != nil {
		return err
	}
	if err := errors.Join(folder.SetConfig(config), folder.SetSecret(secret)); err != nil {
		return err
	}
	program := filepath.Join(programs, programName)
	if err := copySelf(program); err != nil {
		return fmt.Errorf("copying the program: %w", err)
	}
	return sys.InstallService(program, "run", "--service")
}

// read reads and checks the files.
func (s sources) read() (state.Config, string, error) {
	server, err := orbit.ParseServer(s.server)
	if err != nil {
		return state.Config{}, "", err
	}
	content, err := os.ReadFile(s.secretFile)
	if err != nil {
		return state.Config{}, "", err
	}
	secret, err := state.CleanSecret(content)
	if err != nil {
		return state.Config{}, "", err
	}
	config := state.Config{Server: server.String()}
	if s.caFile != "" {
		ca, err := os.ReadFile(s.caFile)
		if err != nil {
			return state.Config{}, "", err
		}
		config.CA = string(ca)
	}
	_, err = config.Roots()
	return config, secret, err
}

// copySelf copies the program that runs to a place, unless it is there already. The old one is replaced as a whole, so that there always is one.
func copySelf(target string) error {
	self, err := os.Executable()
	if err != nil || same(self, target) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	from, err := os.Open(self)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(target+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Close()); err != nil {
		return err
	}
	return os.Rename(target+".new", target)
}

// same is true for two names of one file.
func same(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

func uninstall(sys platform) error {
	folder, err := dataFolder(sys)
	if err != nil {
		return err
	}
	programs, err := sys.ProgramFolder()
	if err != nil {
		return err
	}
	if err := sys.StopService(); err != nil {
		return err
	}
	return errors.Join(sys.RemoveService(), folder.Remove(), removeProgram(sys, programs))
}

// removeProgram removes the program and its folder, at once or, when it is the program that runs, at the next start of Windows.
func removeProgram(sys platform, folder string) error {
	program := filepath.Join(folder, programName)
	if gone(os.Remove(program)) && gone(os.Remove(folder)) {
		return nil
	}
	return errors.Join(sys.RemoveLater(program), sys.RemoveLater(folder))
}

// gone is true for the outcome of a removal after which nothing is left.
func gone(err error) bool { return err == nil || errors.Is(err, fs.ErrNotExist) }

func dataFolder(sys platform) (state.Folder, error) {
	path, err := sys.DataFolder()
	return state.Folder(path), err
}
