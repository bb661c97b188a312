package apnscertificate

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"slices"
	"strings"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/keyring"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/internal/keys"
	"github.com/kubemdm/kubemdm/internal/pushcert"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// Files of the Secret <name>-apns. The pair in use has the names that a server's folder has; what belongs to the request that waits begins with
// request., and its key with the same names behind that. So an accepted certificate and its key change in one write.
const (
	requestPrefix = "request."
	fileCSR       = requestPrefix + "csr"
	// The pair that mdmcert.download encrypts its reply for, and when the request went there ("" before).
	fileRecipient    = requestPrefix + "mdmcert.crt"
	fileRecipientKey = requestPrefix + "mdmcert.key"
	fileSent         = requestPrefix + "mdmcert.sent"
	// The value of the annotation that asked for the newest request.
	fileRenewed = "renewed"
	// The digest of the last reply that was opened: it lies in its Secret still when the next request waits.
	fileOpened = "mdmcert.opened"
	// The IAM role by which servers use a key in AWS KMS. It is none of the files that they mount.
	fileAWSRole = owned.FileAWSRole
)

// keyFiles are the files that hold a private key: itself, or where it is.
var keyFiles = []string{serverconfig.KeyFile, serverconfig.KeyURIFile, serverconfig.KeyPINFile, fileAWSRole}

// store is the Secret with the pair in use and the request that waits. Nothing in it is ever made twice.
type store struct{ *keyring.Keyring }

// openKeyring reads the Secret, or begins an empty one. taken is true when it is somebody else's.
func (r *Reconciler) openKeyring(ctx context.Context, c *mdmv1alpha1.APNSCertificate) (store, bool, error) {
	k, taken, err := keyring.Open(ctx, r.Client, c.Namespace, c.KeySecretName())
	return store{k}, taken, err
}

// save writes the Secret if it changed.
func (r *Reconciler) save(ctx context.Context, k store) error { return k.Save(ctx, r.Client) }

// certificate is the one in use, nil if there is none.
func (k store) certificate() *x509.Certificate {
	chain, err := pushcert.ReadCertificates(k.Data[serverconfig.CertFile])
	if err != nil {
		return nil
	}
	return chain[0]
}

// use puts a certificate into use with the files of its key, and ends the request that waits.
func (k store) use(leaf *x509.Certificate, key map[string][]byte) {
	k.dropRequest()
	k.put(leaf, key)
}

// put puts a certificate with the files of its key in the place of the pair that was there.
func (k store) put(leaf *x509.Certificate, key map[string][]byte) {
	maps.DeleteFunc(k.Data, func(name string, _ []byte) bool { return slices.Contains(keyFiles, name) })
	k.Data[serverconfig.CertFile] = certificatePEM(leaf)
	maps.Copy(k.Data, key)
}

// key returns the files of the key behind a prefix: "" for the one in use.
func (k store) key(prefix string) map[string][]byte {
	files := map[string][]byte{}
	for _, name := range keyFiles {
		if content, ok := k.Data[prefix+name]; ok {
			files[name] = content
		}
	}
	return files
}

// has says whether there is a key behind a prefix.
func (k store) has(prefix string) bool {
	return len(k.Data[prefix+serverconfig.KeyFile]) > 0 || len(k.Data[prefix+serverconfig.KeyURIFile]) > 0
}

// dropRequest forgets the request that waits.
func (k store) dropRequest() {
	maps.DeleteFunc(k.Data, func(name string, _ []byte) bool { return strings.HasPrefix(name, requestPrefix) })
}

// signer opens the key that files hold, of a Secret's data or a part of it.
func signer(ctx context.Context, files map[string][]byte) (crypto.Signer, error) {
	if uri := strings.TrimSpace(string(files[serverconfig.KeyURIFile])); uri != "" {
		return keys.Open(ctx, uri, keys.Options{PIN: strings.TrimSpace(string(files[serverconfig.KeyPINFile]))})
	}
	return pushcert.ReadKey(files[serverconfig.KeyFile])
}

func certificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func privateKeyPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
