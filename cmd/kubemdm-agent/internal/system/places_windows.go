package system

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

const folderName = "KubeMDM"

// DataFolder is where the agent keeps its state.
func (Windows) DataFolder() (string, error) { return below(windows.FOLDERID_ProgramData) }

// ProgramFolder is where the agent is installed: only administrators write there.
func (Windows) ProgramFolder() (string, error) { return below(windows.FOLDERID_ProgramFiles) }

func below(known *windows.KNOWNFOLDERID) (string, error) {
	parent, err := windows.KnownFolderPath(known, windows.KF_FLAG_DEFAULT)
	return filepath.Join(parent, folderName), err
}

// Elevated is true in a process with the rights of an administrator.
func (Windows) Elevated() bool { return windows.GetCurrentProcessToken().IsElevated() }

// RemoveLater removes a file or an empty folder at the next start of Windows: a program that runs cannot be removed.
func (Windows) RemoveLater(path string) error {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	return windows.MoveFileEx(name, nil, windows.MOVEFILE_DELAY_UNTIL_REBOOT)
}
