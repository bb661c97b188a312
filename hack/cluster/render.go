package main

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"text/template"
)

//go:embed config
var configFiles embed.FS

var configTemplates = template.Must(template.New("").
	Funcs(template.FuncMap{"base64": base64.StdEncoding.EncodeToString}).
	Option("missingkey=error").
	ParseFS(configFiles, "config/*"))

// settings are what the templates in config/ refer to.
type settings struct {
	Dir           string // state folder
	ContainerdBin string // folder of containerd, runc and the CNI plugins
	PauseImage    string
	Cgroup        string
	NodeName      string
	NodeAddress   string
	PodBridge     string
	PodCIDR       string
	Network       string
	DNSAddress    string
}

func (c *cluster) settings() settings {
	return settings{
		Dir:           c.dir,
		ContainerdBin: c.folder(containerdModule),
		PauseImage:    pauseImage,
		Cgroup:        cgroupName,
		NodeName:      nodeName,
		NodeAddress:   nodeAddress,
		PodBridge:     podBridge,
		PodCIDR:       podCIDR,
		Network:       podNetwork,
		DNSAddress:    dnsAddress,
	}
}

// credentials are what the kubeconfig template refers to; CA, Certificate and Key are PEM.
type credentials struct {
	Server, User         string
	CA, Certificate, Key []byte
}

// kubeconfigUsers are the leaves that reach the apiserver by a kubeconfig.
var kubeconfigUsers = []string{"admin", "certmanager", "kube-controller-manager", "kube-proxy", "kube-scheduler", "node"}

func render(name string, data any) ([]byte, error) {
	var out bytes.Buffer
	if err := configTemplates.ExecuteTemplate(&out, name, data); err != nil {
		return nil, fmt.Errorf("rendering %s: %w", name, err)
	}
	return out.Bytes(), nil
}

// renderKubeconfig returns the kubeconfig of the leaf called user, with its key inside.
func (c *cluster) renderKubeconfig(user string) ([]byte, error) {
	data := credentials{Server: c.server(), User: user}
	for file, content := range map[string]*[]byte{clusterCA + ".crt": &data.CA, user + ".crt": &data.Certificate, user + ".key": &data.Key} {
		var err error
		if *content, err = os.ReadFile(c.path("pki", file)); err != nil {
			return nil, fmt.Errorf("rendering the kubeconfig of %s: %w", user, err)
		}
	}
	return render("kubeconfig", data)
}

// configure writes every configuration file and returns their folder. Its name carries a hash of their content, so that
// a daemon whose arguments are unchanged also has an unchanged configuration.
func (c *cluster) configure() (etc string, err error) {
	files := map[string][]byte{}
	for _, user := range kubeconfigUsers {
		if files[user+".kubeconfig"], err = c.renderKubeconfig(user); err != nil {
			return "", err
		}
	}
	for _, name := range []string{"containerd.toml", "kubelet.yaml", "kube-proxy.yaml"} {
		if files[name], err = render(name, c.settings()); err != nil {
			return "", err
		}
	}
	etc = c.path("etc", hashFiles(files))
	if err := writeFiles(etc, files); err != nil {
		return "", err
	}
	// These two have places that others rely on.
	network, err := render("cni.conflist", c.settings())
	if err != nil {
		return "", err
	}
	if err := writeFiles(c.path("cni"), map[string][]byte{"10-kubemdm.conflist": network}); err != nil {
		return "", err
	}
	return etc, writeFiles(c.dir, map[string][]byte{filepath.Base(c.kubeconfig()): files["admin.kubeconfig"]})
}

func hashFiles(files map[string][]byte) string {
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(sum, "%s %x\n", name, sha256.Sum256(files[name]))
	}
	return fmt.Sprintf("%.6x", sum.Sum(nil))
}

func writeFiles(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, content := range files {
		// kube-proxy ends when its file is written, even with the same content.
		if current, err := os.ReadFile(filepath.Join(dir, name)); err == nil && bytes.Equal(current, content) {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
