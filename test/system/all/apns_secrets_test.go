package all

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/system/harness"
)

// keptSecrets looks for every private key, token and challenge that the test used, as bytes, hex and base64, wherever a server or the manager leaves
// something behind.
func (a *actors) keptSecrets(ctx context.Context) error {
	if err := errors.Join(a.gatherKeys(ctx), a.gatherTokens(ctx), a.gatherChallenge(ctx)); err != nil {
		return err
	}
	places, err := a.places(ctx)
	if err != nil {
		return err
	}
	var found []error
	for place, content := range places {
		for name, secret := range a.secrets {
			if holds(content, secret) {
				found = append(found, fmt.Errorf("the %s of %d bytes holds %s", place, len(content), name))
			}
		}
	}
	a.log("%d secrets were looked for in %d places", len(a.secrets), len(places))
	return errors.Join(found...)
}

// holds looks for a secret as it is and encoded. Of long ones the beginning of the encoded form will do: PEM breaks lines after 64 characters.
func holds(content, secret []byte) bool {
	const line = 60
	forms := [][]byte{secret, []byte(hex.EncodeToString(secret)), []byte(strings.ToUpper(hex.EncodeToString(secret)))}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
		encoded := []byte(encoding.EncodeToString(secret))
		forms = append(forms, encoded[:min(len(encoded)-1, line)])
	}
	for _, form := range forms {
		if bytes.Contains(content, form) {
			return true
		}
	}
	return false
}

// gatherKeys adds the keys of all Secrets of the namespace.
func (a *actors) gatherKeys(ctx context.Context) error {
	all := &corev1.SecretList{}
	if err := a.List(ctx, all, client.InNamespace(a.Namespace)); err != nil {
		return err
	}
	for _, secret := range all.Items {
		for file, content := range secret.Data {
			if block, _ := pem.Decode(content); block != nil && strings.HasSuffix(block.Type, "PRIVATE KEY") {
				a.secrets[secret.Name+"/"+file] = block.Bytes
			}
			if secret.Name == harness.ServerName+"-sealing" && file != "primary" {
				a.secrets[secret.Name+"/"+file] = content
			}
		}
	}
	vendor, err := os.ReadFile(a.file("vendor.key"))
	if err != nil {
		return err
	}
	block, _ := pem.Decode(vendor)
	a.secrets["the vendor's key"] = block.Bytes
	if len(a.secrets) < 8 {
		return fmt.Errorf("there are but %d keys to look for", len(a.secrets))
	}
	return nil
}

func (a *actors) gatherTokens(ctx context.Context) error {
	tokens := &mdmv1alpha1.EnrollmentTokenList{}
	if err := a.List(ctx, tokens, client.InNamespace(a.Namespace)); err != nil {
		return err
	}
	for _, token := range tokens.Items {
		secret := &corev1.Secret{}
		if err := a.Get(ctx, client.ObjectKey{Namespace: a.Namespace, Name: token.Status.SecretRef.Name}, secret); err != nil {
			return err
		}
		a.secrets["the token "+token.Name] = secret.Data["token"]
	}
	return nil
}

// gatherChallenge enrols a Mac in this process, whose challenge can be seen, and adds its token too.
func (a *actors) gatherChallenge(ctx context.Context) error {
	macs, err := a.EnrolMacs(ctx, "open", 1)
	if err != nil {
		return err
	}
	challenge := macs.Devices[0].Enrollment().SCEP.Challenge
	if challenge == "" {
		return errors.New("the Mac had no challenge")
	}
	a.secrets["the challenge of a Mac"] = []byte(challenge)
	return a.gatherTokens(ctx)
}

// places are the store's files, and the log, environment and command line of the server and of the manager.
func (a *actors) places(ctx context.Context) (map[string][]byte, error) {
	manager, err := a.managerPod(ctx)
	if err != nil {
		return nil, err
	}
	places := map[string][]byte{}
	for program, pod := range map[string]*corev1.Pod{"mdmserver": a.pod, "manager": manager} {
		pid, err := harness.Process(pod, program)
		if err != nil {
			return nil, err
		}
		logs, err := a.Logs(ctx, pod.Namespace, pod.Name, 1_000_000)
		if err != nil {
			return nil, err
		}
		places["log of the "+program] = []byte(logs)
		files := []string{fmt.Sprintf("/proc/%d/environ", pid), fmt.Sprintf("/proc/%d/cmdline", pid)}
		stored, err := filepath.Glob(fmt.Sprintf("/proc/%d/root/var/lib/kubemdm/*", pid))
		if err != nil {
			return nil, err
		}
		for _, file := range append(files, stored...) {
			content, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			places[filepath.Base(file)+" of the "+program] = content
		}
	}
	// Whoever finds nothing has to look in the right place.
	if !bytes.Contains(places["mdm.db of the mdmserver"], []byte(a.before.Status.Topic)) && !bytes.Contains(places["mdm.db-wal of the mdmserver"], []byte(a.before.Status.Topic)) {
		return nil, errors.New("the store was not found: it does not hold the topic")
	}
	return places, nil
}
