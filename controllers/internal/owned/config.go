package owned

import (
	"encoding/json"
	"fmt"
	"path"

	corev1 "k8s.io/api/core/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// Where things are inside the server's container.
const (
	dirConfig   = "/etc/kubemdm/config"
	dirServing  = "/etc/kubemdm/serving"
	dirAdmin    = "/etc/kubemdm/admin"
	dirSealing  = "/etc/kubemdm/sealing"
	dirPush     = "/etc/kubemdm/push"
	dirPushCA   = "/etc/kubemdm/push-ca"
	dirIdentity = "/etc/kubemdm/identity"
	dirData     = "/var/lib/kubemdm"
	configFile  = "config.json"
)

// ConfigMap holds the server's configuration file.
func (s Server) ConfigMap() *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: s.meta(s.ConfigName()), Data: map[string]string{configFile: s.config()}}
}

func (s Server) config() string {
	apple := s.Spec.Apple
	c := serverconfig.Config{
		Namespace: s.Namespace, Name: s.Name, Host: s.Spec.Host, Organization: s.Spec.Organization,
		Listen:     serverconfig.Listen{Devices: listen(portDevices), Admin: listen(portAdmin), Health: listen(portHealth)},
		ServingDir: dirServing, TrustAnchor: s.Spec.TLS.Type == mdmv1alpha1.TLSSelfSigned,
		AdminDir: dirAdmin, AdminClient: AdminClientName,
		SealingDir:  dirSealing,
		Store:       serverconfig.Store{SQLite: &serverconfig.SQLite{Path: path.Join(dirData, "mdm.db")}},
		SilentAfter: serverconfig.Duration(s.Spec.SilentAfter.Duration),
		Apple: &serverconfig.Apple{
			Push: serverconfig.Push{Dir: dirPush, URL: apple.Push.URL, CAFile: s.pushCAFile()},
			Identity: serverconfig.Identity{
				Dir:         dirIdentity,
				Validity:    serverconfig.Duration(apple.Identity.Validity.Duration),
				RenewBefore: serverconfig.Duration(apple.Identity.RenewBefore.Duration),
			},
			AccessRights: int(apple.AccessRights),
		},
	}
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("encoding the server's configuration: %v", err)) // it holds strings, numbers and durations only
	}
	return string(b) + "\n"
}

func (s Server) pushCAFile() string {
	if s.Spec.Apple.Push.CAConfigMapRef == nil {
		return ""
	}
	return path.Join(dirPushCA, serverconfig.CAFile)
}

func listen(port int) string { return fmt.Sprintf(":%d", port) }
