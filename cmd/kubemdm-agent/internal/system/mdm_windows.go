package system

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"github.com/kubemdm/kubemdm/cmd/kubemdm-agent/internal/hresult"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// Windows is this machine's.
type Windows struct{}

const (
	keyEnrolments = `SOFTWARE\Microsoft\Enrollments`
	keyVersion    = `SOFTWARE\Microsoft\Windows NT\CurrentVersion`

	// sessionTimeout bounds the program that starts a session.
	sessionTimeout = 2 * time.Minute
)

// The functions of mdmregistration.h.
var (
	mdmRegistration = windows.NewLazySystemDLL("mdmregistration.dll")
	procRegister    = mdmRegistration.NewProc("RegisterDeviceWithManagement")
	procUnregister  = mdmRegistration.NewProc("UnregisterDeviceWithManagement")
)

var (
	errServerEdition = errors.New("this is an edition of Windows Server, which cannot be managed")
	errNotEnrolled   = errors.New("Windows is not enrolled at KubeMDM")
)

// Register has Windows enrol at a discovery URL with an access token. It takes tens of seconds. An error of Windows is an hresult.Code.
func (Windows) Register(discoveryURL, token string) error {
	edition, err := localMachine(keyVersion, "InstallationType")
	if err != nil {
		return err
	}
	if strings.HasPrefix(strings.ToLower(edition), "server") { // "Server Core" too
		return errServerEdition
	}
	nobody := new(uint16) // the user principal name: the token says who it is
	url, err := windows.UTF16PtrFromString(discoveryURL)
	if err != nil {
		return err
	}
	secret, err := windows.UTF16PtrFromString(token)
	if err != nil {
		return err
	}
	return call(procRegister, uintptr(unsafe.Pointer(nobody)), uintptr(unsafe.Pointer(url)), uintptr(unsafe.Pointer(secret)))
}

// Unregister has Windows leave management. An error of Windows is an hresult.Code.
func (Windows) Unregister() error {
	return call(procUnregister, 0) // with an enrolment's id instead of NULL it fails
}

// call runs a function of Windows on a thread of its own, which ends with it: COM settings of a thread cannot be changed, and nobody knows what this
// function leaves behind.
//
//go:uintptrescapes
func call(proc *windows.LazyProc, args ...uintptr) error {
	if err := proc.Find(); err != nil {
		return err
	}
	done := make(chan hresult.Code)
	go func() {
		runtime.LockOSThread()
		result, _, _ := proc.Call(args...)
		done <- hresult.Code(result)
	}()
	return (<-done).Err()
}

// StartSession has Windows start a management session with KubeMDM.
func (Windows) StartSession() error {
	id, err := enrolment()
	if err != nil {
		return err
	}
	directory, err := windows.GetSystemDirectory()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), sessionTimeout)
	defer cancel()
	return exec.CommandContext(ctx, filepath.Join(directory, "deviceenroller.exe"), "/o", id, "/c").Run()
}

// Enrolled is true when Windows is enrolled at KubeMDM.
func (Windows) Enrolled() (bool, error) {
	_, err := enrolment()
	if errors.Is(err, errNotEnrolled) {
		return false, nil
	}
	return err == nil, err
}

// enrolment returns the GUID of the enrolment at KubeMDM. Its state does not matter: a failed renewal leaves one that still works.
func enrolment() (string, error) {
	all, err := registry.OpenKey(registry.LOCAL_MACHINE, keyEnrolments, registry.ENUMERATE_SUB_KEYS)
	if errors.Is(err, registry.ErrNotExist) {
		return "", errNotEnrolled
	}
	if err != nil {
		return "", fmt.Errorf("reading the enrolments: %w", err)
	}
	defer all.Close()
	ids, err := all.ReadSubKeyNames(-1)
	if err != nil {
		return "", fmt.Errorf("reading the enrolments: %w", err)
	}
	for _, id := range ids {
		provider, err := localMachine(keyEnrolments+`\`+id, "ProviderID")
		if err == nil && provider == adminapi.WindowsProviderID {
			return id, nil
		}
	}
	return "", errNotEnrolled
}

// localMachine reads a text of the registry.
func localMachine(key, name string) (string, error) {
	opened, err := registry.OpenKey(registry.LOCAL_MACHINE, key, registry.QUERY_VALUE)
	if err != nil {
		return "", fmt.Errorf("opening %s: %w", key, err)
	}
	defer opened.Close()
	value, _, err := opened.GetStringValue(name)
	if err != nil {
		return "", fmt.Errorf("reading %s of %s: %w", name, key, err)
	}
	return value, nil
}
