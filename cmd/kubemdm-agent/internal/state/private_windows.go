package state

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Access rights in the security descriptor definition language, without those that the parent folder hands down (P). In the folder SYSTEM and the
// Administrators may do all; a file is SYSTEM's alone, and that of the account that wrote it: SYSTEM too, unless a person runs the agent by hand.
const (
	folderRights = "O:%sD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
	fileRights   = "O:%[1]sD:P(A;;FA;;;SY)(A;;FA;;;%[1]s)"
)

var errForeignFolder = errors.New("it exists and belongs to somebody else: remove it first")

func createFolder(path string) error {
	me, err := account()
	if err != nil {
		return err
	}
	attributes, err := attributesOf(fmt.Sprintf(folderRights, me))
	if err != nil {
		return err
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	if err := windows.CreateDirectory(name, attributes); !errors.Is(err, windows.ERROR_ALREADY_EXISTS) {
		return err
	}
	return adoptFolder(path, me, attributes.SecurityDescriptor)
}

// adoptFolder gives a folder that is there the access rights of a descriptor, if it belongs to this account or to one that may do everything anyhow.
func adoptFolder(path string, me *windows.SID, rights *windows.SECURITY_DESCRIPTOR) error {
	found, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		return err
	}
	owner, _, err := found.Owner()
	if err != nil {
		return err
	}
	if !owner.Equals(me) && !owner.IsWellKnown(windows.WinLocalSystemSid) && !owner.IsWellKnown(windows.WinBuiltinAdministratorsSid) {
		return errForeignFolder
	}
	list, _, err := rights.DACL()
	if err != nil {
		return err
	}
	const parts = windows.DACL_SECURITY_INFORMATION | windows.PROTECTED_DACL_SECURITY_INFORMATION
	return windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, parts, nil, nil, list, nil)
}

func writePrivate(path string, content []byte) error {
	me, err := account()
	if err != nil {
		return err
	}
	attributes, err := attributesOf(fmt.Sprintf(fileRights, me))
	if err != nil {
		return err
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	handle, err := windows.CreateFile(name, windows.GENERIC_WRITE, 0, attributes, windows.CREATE_NEW, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return err
	}
	return fill(os.NewFile(uintptr(handle), path), content)
}

// account is who runs this process.
func account() (*windows.SID, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, fmt.Errorf("asking who runs the agent: %w", err)
	}
	return user.User.Sid, nil
}

func attributesOf(rights string) (*windows.SecurityAttributes, error) {
	descriptor, err := windows.SecurityDescriptorFromString(rights)
	if err != nil {
		return nil, fmt.Errorf("access rights %s: %w", rights, err)
	}
	attributes := &windows.SecurityAttributes{SecurityDescriptor: descriptor}
	attributes.Length = uint32(unsafe.Sizeof(*attributes))
	return attributes, nil
}
