package owned

import (
	"encoding/json"
	"fmt"
	"path"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// Where things are inside the server's container.
const (
	dirConfig      = "/etc/kubemdm/config"
	dirServing     = "/etc/kubemdm/serving"
	dirAdmin       = "/etc/kubemdm/admin"
	dirSealing     = "/etc/kubemdm/sealing"
	dirPush        = "/etc/kubemdm/push"
	dirAWS         = "/var/run/secrets/kubemdm/aws"
	dirPushCA      = "/etc/kubemdm/push-ca"
	dirDeviceCA    = "/etc/kubemdm/device-ca"
	dirIdentity    = "/etc/kubemdm/identity"
	dirWSTEP       = "/etc/kubemdm/wstep"
	dirSignIn      = "/etc/kubemdm/sign-in"
	dirAppleSignIn = "/etc/kubemdm/sign-in-apple"
	dirImports     = "/etc/kubemdm/imports"
	dirPage        = "/etc/kubemdm/page"
	dirDatabase    = "/etc/kubemdm/database"
	dirDatabaseCA  = "/etc/kubemdm/database-ca"
	dirData        = "/var/lib/kubemdm"
	configFile     = "config.json"
)

// leaveTime is how long a replica that stops goes on answering: until every node, and the load balancer in front, sends new connections to the others.
const leaveTime = 10 * time.Second

// ConfigMap holds the server's configuration file.
func (s Server) ConfigMap() *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: s.meta(s.ConfigName()), Data: map[string]string{configFile: s.config()}}
}

func (s Server) config() string {
	c := serverconfig.Config{
		Namespace: s.Namespace, Name: s.Name, Host: s.Spec.Host, Organization: s.Spec.Organization,
		Listen:     serverconfig.Listen{Devices: listen(portDevices), Admin: listen(portAdmin), Health: listen(portHealth)},
		ServingDir: dirServing, TrustAnchor: s.Spec.TLS.Type == mdmv1alpha1.TLSSelfSigned,
		AdminDir: dirAdmin, AdminClient: AdminClientName,
		SealingDir:  dirSealing,
		Store:       s.storeConfig(),
		SilentAfter: serverconfig.Duration(s.Spec.SilentAfter.Duration),
		Apple:       s.appleConfig(), Windows: s.windowsConfig(), Page: s.pageConfig(),
	}
	if s.Shared() {
		c.LeaveTime = serverconfig.Duration(leaveTime)
	}
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("encoding the server's configuration: %v", err)) // it holds strings, numbers and durations only
	}
	return string(b) + "\n"
}

func (s Server) storeConfig() serverconfig.Store {
	if !s.Shared() {
		return serverconfig.Store{SQLite: &serverconfig.SQLite{Path: path.Join(dirData, "mdm.db")}}
	}
	given := s.Spec.Storage.PostgreSQL
	c := &serverconfig.Postgres{Dir: dirDatabase, MaxConnections: int(given.MaxConnections / (*s.Spec.Replicas + maxSurge))}
	if given.CARef != nil {
		c.CADir = dirDatabaseCA
	}
	return serverconfig.Store{Postgres: c}
}

func (s Server) appleConfig() *serverconfig.Apple {
	apple := s.Spec.Apple
	if apple == nil {
		return nil
	}
	c := &serverconfig.Apple{
		Push:         serverconfig.Push{Dir: dirPush, URL: apple.Push.URL},
		Identity:     identityConfig(dirIdentity, apple.Identity.Validity, apple.Identity.RenewBefore),
		AccessRights: int(apple.AccessRights),
	}
	if apple.Push.CAConfigMapRef != nil {
		c.Push.CAFile = path.Join(dirPushCA, serverconfig.CAFile)
	}
	if apple.DeviceCAConfigMapRef != nil {
		c.DeviceRootsFile = path.Join(dirDeviceCA, serverconfig.CAFile)
	}
	if apple.SignIn != nil {
		c.SignIn = signInConfig(dirAppleSignIn, *apple.SignIn)
	}
	for _, i := range apple.Imports {
		c.Imports = append(c.Imports, serverconfig.Import{
			Name: i.Name, ServerPath: i.ServerPath, CheckInPath: i.CheckInPath, CAFile: path.Join(dirImports, i.Name, serverconfig.CAFile),
		})
	}
	return c
}

// PageConfigMap holds the server's copy of the logo.
func (s Server) PageConfigMap(logo []byte) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: s.meta(s.PageName()), BinaryData: map[string][]byte{serverconfig.LogoFile: logo}}
}

func (s Server) pageConfig() serverconfig.Page {
	page := s.Spec.EnrollmentPage
	c := serverconfig.Page{Title: page.Title, Color: page.Color, SupportURL: page.SupportURL}
	if page.LogoConfigMapRef != nil {
		c.LogoFile = path.Join(dirPage, serverconfig.LogoFile)
	}
	if page.SignInTokenRef != nil {
		c.SignInToken = s.Namespace + "/" + page.SignInTokenRef.Name
	}
	return c
}

func (s Server) windowsConfig() *serverconfig.Windows {
	windows := s.Spec.Windows
	if windows == nil {
		return nil
	}
	c := &serverconfig.Windows{
		ManagementHost: windows.ManagementHost,
		Identity:       identityConfig(dirWSTEP, windows.Identity.Validity, windows.Identity.RenewBefore),
		Authentication: serverconfig.Authentication{
			Require: serverconfig.Require(windows.Authentication.Require), TrustedProxies: windows.Authentication.TrustedProxies,
		},
		PollEvery: serverconfig.Duration(windows.PollEvery.Duration), VerifyEvery: serverconfig.Duration(windows.VerifyEvery.Duration),
	}
	if signIn := windows.SignIn; signIn != nil {
		c.SignIn = signInConfig(dirSignIn, signIn.SignIn)
		c.SignIn.Token = s.Namespace + "/" + signIn.EnrollmentTokenRef.Name
	}
	return c
}

func signInConfig(dir string, s mdmv1alpha1.SignIn) *serverconfig.SignIn {
	return &serverconfig.SignIn{IssuerURL: s.IssuerURL, ClientID: s.ClientID, Dir: dir, Domains: s.Domains}
}

func identityConfig(dir string, validity, renewBefore metav1.Duration) serverconfig.Identity {
	return serverconfig.Identity{Dir: dir, Validity: serverconfig.Duration(validity.Duration), RenewBefore: serverconfig.Duration(renewBefore.Duration)}
}

func listen(port int) string { return fmt.Sprintf(":%d", port) }
