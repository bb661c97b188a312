package fleet_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

func windowsArtifact(t testing.TB, key adminapi.Key, digest string, commands ...adminapi.SyncMLCommand) adminapi.Artifact {
	t.Helper()
	template, err := json.Marshal(adminapi.WindowsProfile{Commands: commands})
	if err != nil {
		t.Fatal(err)
	}
	scope := adminapi.ScopeSystem
	if strings.HasPrefix(commands[0].LocURI, "./User/") {
		scope = adminapi.ScopeUser
	}
	return adminapi.Artifact{Key: key, Platform: adminapi.PlatformWindows, Scope: scope, Identifier: string(key), Digest: digest, Template: template}
}

func TestFirstSessionSaysWhatThePCIsAndThenAppliesItsProfiles(t *testing.T) {
	w := newWorld(t)
	p := w.enrollPC("A")
	if d := w.device("A"); d.State != adminapi.DevicePending {
		t.Fatalf("before its first session the device is %s", d.State)
	}
	w.putProfile("ns/p", "v1", set(policy+"Camera/AllowCamera", "int", "0"))
	p.assign("ns/p")
	p.wantSync(
		"Get ./DevInfo/Man", "Get ./DevInfo/Mod", "Get ./DevDetail/SwV", "Get ./DevDetail/Ext/Microsoft/SMBIOSSerialNumber",
		"Get ./DevDetail/Ext/Microsoft/DeviceName", "Get ./DevDetail/Ext/Microsoft/OSPlatform",
		"Add "+policy+"Camera/AllowCamera", "Get "+policy+"Camera/AllowCamera")
	p.wantNode(policy+"Camera/AllowCamera", "0")
	w.wantCounts("ns/p", 1, 0)
	d := w.device("A")
	if d.State != adminapi.DeviceEnrolled || d.SerialNumber != "SN-A" || d.Model != "Book 3" || d.ModelName != "Contoso Book 3" ||
		d.OSVersion != "10.0.26100.1742" || d.BuildVersion != "26100.1742" || d.DeviceName != "DESKTOP-A" || d.ProductName != "Windows 11 Enterprise" ||
		d.UDID != "A" || d.Authentication != adminapi.AuthDigest {
		t.Errorf("device = %+v", d)
	}
	p.wantSync()
}
