package windows

import (
	"net/url"
	"strings"
)

// States of an installation (EnterpriseDesktopAppManagement CSP).
const (
	installInitialised = "10"
	installDownloading = "20"
	installEnforcing   = "50"
	installFailed      = "60"
	installDone        = "70"
)

// FailInstall makes the next installation of a product, named by its code in braces, fail with this error number.
func (pc *PC) FailInstall(productCode, code string) {
	pc.mu.Lock()
	defer pc.mu.Unlock()
	pc.nextMSI[productCode] = code
}

// install begins a job. A product that is there, or on its way, is not installed again.
func (t *tree) install(path string, n Node) int {
	branch, _ := strings.CutSuffix(path, "/DownloadInstall")
	code, err := url.PathUnescape(strings.TrimPrefix(branch, msi))
	if err != nil {
		return statusBadRequest
	}
	job, err := parse([]byte(n.Data))
	if err != nil || job.Local != "MsiInstallJob" || !strings.EqualFold(job.attr("id"), code) {
		return statusBadRequest
	}
	product := job.child("Product")
	contentURL, hash := product.value("Download/ContentURLList/ContentURL"), product.value("Validation/FileHash")
	if _, err := url.ParseRequestURI(contentURL); err != nil || len(hash) != 64 || product.attr("Version") == "" {
		return statusBadRequest
	}
	if state := t.value(branch + "/Status"); state != "" && state != installFailed {
		return statusOK
	}
	t.leaves[branch+"/Status"] = Node{Format: "int", Data: installInitialised}
	t.leaves[branch+"/LastError"] = Node{Format: "int", Data: "0"}
	t.leaves[branch+"/Version"] = Node{Format: "chr", Data: product.attr("Version")}
	return statusOK
}

// advanceInstalls takes each job one state further; those of products in failing end with their error.
func (t *tree) advanceInstalls(failing map[string]string) {
	for path, n := range t.leaves {
		branch, isState := strings.CutSuffix(path, "/Status")
		if !isState || !strings.HasPrefix(path, msi) {
			continue
		}
		switch n.Data {
		case installInitialised:
			n.Data = installDownloading
		case installDownloading:
			n.Data = installEnforcing
		case installEnforcing:
			n.Data = installDone
			code, _ := url.PathUnescape(strings.TrimPrefix(branch, msi)) // install looked at it
			if failed := failing[code]; failed != "" {
				n.Data = installFailed
				t.leaves[branch+"/LastError"] = Node{Format: "int", Data: failed}
				delete(failing, code)
			}
		}
		t.leaves[path] = n
	}
}
