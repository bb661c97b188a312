package apns

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
	"github.com/kubemdm/kubemdm/internal/pushcert"
)

// maxCertificate bounds the file from Apple, as spec.certificate is bounded.
const maxCertificate = 64 << 10

// importing is what "apns import" was asked for.
type importing struct {
	env     *cli.Env
	noCheck bool
	timeout time.Duration
}

func importCommand(e *cli.Env) *cobra.Command {
	i := &importing{env: e}
	c := &cobra.Command{
		Use:   "import NAME FILE",
		Short: "Hand over the certificate that Apple returned",
		Long: `Hand over the certificate that Apple returned, the file MDM_..._Certificate.pem.

The file is checked first, as the operator will check it: that it is a push certificate from Apple, that it answers the request that waits, and that
it has the topic that enrolled devices know. A wrong file is refused and nothing is changed. --no-check leaves the judgement to the operator, which
refuses a wrong certificate just as well and keeps the one in use.

The certificate goes into spec.certificate; if spec.certificateSecretRef is set, into that Secret. Nothing else of the file leaves this computer. Then it
waits until the operator has taken the certificate into use.

Rights: get, watch and patch on apnscertificates.mdm.kubemdm.io; patch and create on secrets if spec.certificateSecretRef is set; list on
mdmservers.mdm.kubemdm.io to show which servers use it.`,
		Example: `  # Hand over what Apple returned
  kubectl mdm apns import push MDM_Example_Certificate.pem

  # From standard input
  kubectl mdm apns import push - < MDM_Example_Certificate.pem`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: complete(e),
	}
	c.RunE = e.Run(func(cmd *cobra.Command, s *cli.Session, args []string) error {
		return i.run(cmd.Context(), s, args[0], args[1])
	})
	c.Flags().BoolVar(&i.noCheck, "no-check", false, "leave the judgement to the operator")
	cli.TimeoutFlag(c, &i.timeout)
	return c
}

func (i *importing) run(ctx context.Context, s *cli.Session, name, file string) error {
	given, err := i.env.ReadFile(file, maxCertificate)
	if err != nil {
		return err
	}
	c, err := find(ctx, s, name)
	if err != nil {
		return err
	}
	leaf, refusal := offer(c, given, i.env.Clock.Now()).Judge()
	switch {
	case leaf == nil && refusal != nil:
		return fmt.Errorf("%s is refused, and nothing was changed: %s (%s)", file, refusal.Message, refusal.Reason)
	case refusal != nil && !i.noCheck:
		return fmt.Errorf("%s is refused, and nothing was changed: %s (%s). --no-check leaves the judgement to the operator", file, refusal.Message, refusal.Reason)
	}
	asked, err := i.give(ctx, s, c, leaf)
	if err != nil {
		return err
	}
	if c, err = i.await(ctx, s, c, asked, fingerprint(leaf)); err != nil {
		return err
	}
	return i.print(ctx, s, c)
}

// offer gathers what can be known without the Secret of the keys. The certificate in use is at hand if spec.certificate holds it.
func offer(c *mdmv1alpha1.APNSCertificate, given []byte, now time.Time) pushcert.Offer {
	o := pushcert.Offer{Given: given, KnownTopic: c.Status.Topic, AcceptTopic: c.Spec.AcceptTopic, Now: now}
	if csr, err := pushcert.ParseCSR([]byte(c.Status.CertificateSigningRequest)); err == nil {
		o.Keys = append(o.Keys, csr.PublicKey)
	}
	if live := inUse(c); live != nil {
		o.Live, o.Keys = live, append(o.Keys, live.PublicKey)
	}
	if len(o.Keys) == 0 {
		o.Keys = anyKey(given)
	}
	return o
}

// inUse is the certificate in use if spec.certificate holds it, or nil.
func inUse(c *mdmv1alpha1.APNSCertificate) *x509.Certificate {
	found, err := pushcert.ReadCertificates([]byte(c.Spec.Certificate))
	if err != nil {
		return nil
	}
	for _, certificate := range found {
		if fingerprint(certificate) == c.Status.Fingerprint {
			return certificate
		}
	}
	return nil
}

// anyKey are the keys of the certificates themselves: no key is known here, so the operator has to tell whether they fit.
func anyKey(given []byte) []crypto.PublicKey {
	found, err := pushcert.ReadCertificates(given)
	if err != nil {
		return nil
	}
	var keys []crypto.PublicKey
	for _, certificate := range found {
		keys = append(keys, certificate.PublicKey)
	}
	return keys
}

// fingerprint is what status.fingerprint says of a certificate.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// give puts the certificate, and nothing else that the file may have had, where the spec wants it.
func (i *importing) give(ctx context.Context, s *cli.Session, c *mdmv1alpha1.APNSCertificate, leaf *x509.Certificate) (asked string, err error) {
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})
	ref := c.Spec.CertificateSecretRef
	if ref == nil {
		return change(ctx, i.env, s, c, fields{"certificate": string(text)}, nil)
	}
	if err := paused(c); err != nil {
		return "", err
	}
	if err := keep(ctx, s, *ref, text); err != nil {
		return "", err
	}
	return change(ctx, i.env, s, c, nil, nil)
}

func (i *importing) await(ctx context.Context, s *cli.Session, c *mdmv1alpha1.APNSCertificate, asked, wanted string) (*mdmv1alpha1.APNSCertificate, error) {
	return cli.Wait[mdmv1alpha1.APNSCertificate, *mdmv1alpha1.APNSCertificate]{
		Key: client.ObjectKeyFromObject(c), List: &mdmv1alpha1.APNSCertificateList{}, Timeout: i.timeout,
		Done: func(c *mdmv1alpha1.APNSCertificate) (bool, error) {
			switch {
			case !observed(c, asked):
				return false, paused(c)
			case c.Status.Fingerprint == wanted && meta.IsStatusConditionTrue(c.Status.Conditions, mdmv1alpha1.APNSCertificateIssued):
				return true, nil
			}
			return false, hindrance(c, "the certificate is not in use", mdmv1alpha1.APNSCertificateIssued)
		},
		Doing: func(c *mdmv1alpha1.APNSCertificate) string {
			return doing(c, asked, mdmv1alpha1.APNSCertificateIssued)
		},
	}.For(ctx, i.env, s)
}

// print shows what is in use now, and what its servers do.
func (i *importing) print(ctx context.Context, s *cli.Session, c *mdmv1alpha1.APNSCertificate) error {
	p := &printer{look.NewPrinter(i.env)}
	p.Line("%s has its certificate.", c.Name)
	p.Line("")
	p.facts(c, false)
	p.servers(c, usersOf(ctx, s, c))
	if next := c.Status.NextStep; next != "" {
		p.Line("")
		p.Line("Next step: %s", printers.EscapeTerminal(next))
	}
	return p.Err
}
