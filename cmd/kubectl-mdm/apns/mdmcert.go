package apns

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

const (
	// maxReply bounds the attachment of the service's mail, which has some ten thousand bytes. A Secret holds 1 MiB at most.
	maxReply = 256 << 10
	// replyKey is the key of the Secret <name>-mdmcert-reply.
	replyKey = "reply"
)

// mdmcert is what "apns mdmcert-download" was asked for.
type mdmcert struct {
	env     *cli.Env
	email   string
	apiKey  string
	resend  bool
	reply   string
	timeout time.Duration
}

func mdmcertCommand(e *cli.Env) *cobra.Command {
	m := &mdmcert{env: e}
	c := &cobra.Command{
		Use:   "mdmcert-download NAME",
		Short: "Have mdmcert.download sign the request, and hand over its reply",
		Long: `Have mdmcert.download sign the request, and hand over its reply.

mdmcert.download is a free service that signs requests, for people whose organisation is no MDM vendor itself. Register an address at
https://mdmcert.download/registration first, and ask the service for an API key, which is free, too. Put it into a Secret:

  kubectl create secret generic mdmcert --from-file=api-key=FILE

--email makes it the vendor of the certificate and waits until it took the request. It mails a reply, an encrypted file
mdm_signed_request....plist.b64.p7. --reply hands this file over, as it came, in the Secret NAME-mdmcert-reply. --resend sends the request again,
for a mail that got lost.

Rights: get, watch and patch on apnscertificates.mdm.kubemdm.io; patch and create on secrets with --reply.`,
		Example: `  # Send the request
  kubectl mdm apns mdmcert-download push --email mdm@example.com --api-key-secret mdmcert

  # The mail is there
  kubectl mdm apns mdmcert-download push --reply mdm_signed_request.20260701_100000_123.plist.b64.p7

  # The mail is not there
  kubectl mdm apns mdmcert-download push --resend`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: complete(e),
	}
	c.RunE = e.Run(func(cmd *cobra.Command, s *cli.Session, args []string) error { return m.run(cmd.Context(), s, args[0]) })
	c.Flags().StringVar(&m.email, "email", "", "the address that is registered at mdmcert.download")
	c.Flags().StringVar(&m.apiKey, "api-key-secret", "", apiKeyUsage+"; it may be left out once it is known")
	c.Flags().BoolVar(&m.resend, "resend", false, "send the request again")
	c.Flags().StringVar(&m.reply, "reply", "", `the file that was attached to the mail, "-" for standard input`)
	cli.TimeoutFlag(c, &m.timeout)
	c.MarkFlagsOneRequired("email", "resend", "reply")
	c.MarkFlagsMutuallyExclusive("reply", "email")
	c.MarkFlagsMutuallyExclusive("reply", "resend")
	c.MarkFlagsMutuallyExclusive("reply", "api-key-secret")
	return c
}

func (m *mdmcert) run(ctx context.Context, s *cli.Session, name string) error {
	if m.reply != "" {
		return m.handOver(ctx, s, name)
	}
	return m.send(ctx, s, name)
}

// send has the operator send the request.
func (m *mdmcert) send(ctx context.Context, s *cli.Session, name string) error {
	c, err := find(ctx, s, name)
	if err != nil {
		return err
	}
	email := m.email
	if email == "" {
		if email = registered(c); email == "" {
			return notTheVendor(c)
		}
	}
	service := fields{"email": email}
	switch {
	case m.apiKey != "":
		service["apiKeySecretRef"] = apiKeyReference(m.apiKey)
	case registered(c) == "":
		return errors.New("mdmcert.download takes requests with an API key only: ask it for one, put it into a Secret, and name that with --api-key-secret; see --help")
	}
	spec := fields{"vendor": fields{
		"type": mdmv1alpha1.PushVendorMDMCert, "mdmcert": service,
		"manual": nil, "secret": nil, // type allows the member of its own name only
	}}
	annotations := fields{}
	if m.resend {
		annotations[mdmv1alpha1.AnnotationResendRequest] = stamp(m.env)
	}
	asked, err := change(ctx, m.env, s, c, spec, annotations)
	if err != nil {
		return err
	}
	c, err = m.awaitSent(ctx, s, c, asked, email)
	if err != nil {
		return err
	}
	if err := m.tellSent(c); err != nil {
		return err
	}
	return printNext(m.env.Out, c)
}

// apiKeyUsage is the help of the flags that name the Secret with the API key.
const apiKeyUsage = "the Secret with your API key of mdmcert.download, as NAME (the key in it is api-key) or NAME/KEY"

// apiKeyReference reads the value of such a flag.
func apiKeyReference(given string) mdmv1alpha1.KeyReference {
	name, key, found := strings.Cut(given, "/")
	if !found {
		key = "api-key"
	}
	return mdmv1alpha1.KeyReference{Name: name, Key: key}
}

// registered is the address in the spec, "" if another vendor signs.
func registered(c *mdmv1alpha1.APNSCertificate) string {
	if c.Spec.Vendor == nil || c.Spec.Vendor.MDMCert == nil {
		return ""
	}
	return c.Spec.Vendor.MDMCert.Email
}

func notTheVendor(c *mdmv1alpha1.APNSCertificate) error {
	return fmt.Errorf("mdmcert.download does not sign for %s: kubectl mdm apns mdmcert-download %s --email ADDRESS --api-key-secret NAME has it sign", c.Name, c.Name)
}

func (m *mdmcert) awaitSent(ctx context.Context, s *cli.Session, c *mdmv1alpha1.APNSCertificate, asked, email string) (*mdmv1alpha1.APNSCertificate, error) {
	resend := c.Annotations[mdmv1alpha1.AnnotationResendRequest]
	return cli.Wait[mdmv1alpha1.APNSCertificate, *mdmv1alpha1.APNSCertificate]{
		Key: client.ObjectKeyFromObject(c), List: &mdmv1alpha1.APNSCertificateList{}, Timeout: m.timeout,
		Done: func(c *mdmv1alpha1.APNSCertificate) (bool, error) {
			if !observed(c, asked) {
				return false, paused(c)
			}
			if noRequest(c) {
				return true, nil
			}
			service := c.Status.MDMCert
			if service == nil || service.Email != email || service.LastHandledResend != resend {
				return signedOr(c, hindrance(c, "the request is not sent", untilSigned...))
			}
			if service.Failure != "" {
				return false, errors.New("mdmcert.download did not take the request: " + service.Failure + "\nThe operator tries again by itself every ten minutes; --resend tries now")
			}
			return service.SentAt != nil, nil
		},
		Doing: func(c *mdmv1alpha1.APNSCertificate) string { return doing(c, asked, untilSigned...) },
	}.For(ctx, m.env, s)
}

// untilSigned are the steps up to the vendor's signature.
var untilSigned = []string{mdmv1alpha1.APNSCertificateKeyReady, mdmv1alpha1.APNSCertificateCSRReady, mdmv1alpha1.APNSCertificateVendorSigned}

// signedOr says whether the request has its signature already, so that nothing is sent. Otherwise it gives back err.
func signedOr(c *mdmv1alpha1.APNSCertificate, err error) (bool, error) {
	if c.Status.PushCertificateRequest != "" {
		return true, nil
	}
	return false, err
}

// noRequest says whether no request waits, so that there is nothing to sign.
func noRequest(c *mdmv1alpha1.APNSCertificate) bool {
	return c.Status.CertificateSigningRequest == "" && meta.IsStatusConditionTrue(c.Status.Conditions, mdmv1alpha1.APNSCertificateCSRReady)
}

func (m *mdmcert) tellSent(c *mdmv1alpha1.APNSCertificate) error {
	text := "The request is signed already."
	switch {
	case noRequest(c):
		text = fmt.Sprintf("No request waits, so nothing was sent; mdmcert.download signs the next one. kubectl mdm apns request %s --renew starts it now.", c.Name)
	case c.Status.PushCertificateRequest == "":
		text = fmt.Sprintf("mdmcert.download took the request at %s and mails its reply to %s.", look.Date(c.Status.MDMCert.SentAt.Time), c.Status.MDMCert.Email)
	}
	_, err := fmt.Fprintln(m.env.Out, text)
	return err
}

// handOver gives the reply of the service to the operator.
func (m *mdmcert) handOver(ctx context.Context, s *cli.Session, name string) error {
	reply, err := m.env.ReadFile(m.reply, maxReply)
	if err != nil {
		return err
	}
	c, err := find(ctx, s, name)
	if err != nil {
		return err
	}
	if registered(c) == "" {
		return notTheVendor(c)
	}
	if err := paused(c); err != nil {
		return err
	}
	ref := mdmv1alpha1.KeyReference{Name: c.Name + "-mdmcert-reply", Key: replyKey}
	if err := keep(ctx, s, ref, reply); err != nil {
		return err
	}
	asked, err := change(ctx, m.env, s, c, fields{"vendor": fields{"mdmcert": fields{"replySecretRef": ref}}}, nil)
	if err != nil {
		return err
	}
	c, err = m.awaitSigned(ctx, s, c, asked)
	if err != nil {
		return err
	}
	text := "The request is signed."
	if noRequest(c) {
		text = "No request waits: there is nothing that the reply could be for."
	}
	if _, err := fmt.Fprintln(m.env.Out, text); err != nil {
		return err
	}
	return printNext(m.env.Out, c)
}

func (m *mdmcert) awaitSigned(ctx context.Context, s *cli.Session, c *mdmv1alpha1.APNSCertificate, asked string) (*mdmv1alpha1.APNSCertificate, error) {
	return cli.Wait[mdmv1alpha1.APNSCertificate, *mdmv1alpha1.APNSCertificate]{
		Key: client.ObjectKeyFromObject(c), List: &mdmv1alpha1.APNSCertificateList{}, Timeout: m.timeout,
		Done: func(c *mdmv1alpha1.APNSCertificate) (bool, error) {
			switch {
			case !observed(c, asked):
				return false, paused(c)
			case noRequest(c), c.Status.PushCertificateRequest != "":
				return true, nil
			}
			return false, hindrance(c, "the reply does not do", untilSigned...)
		},
		Doing: func(c *mdmv1alpha1.APNSCertificate) string { return doing(c, asked, untilSigned...) },
	}.For(ctx, m.env, s)
}
