package apns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// request is what "apns request" was asked for.
type request struct {
	env     *cli.Env
	output  string
	csr     bool
	renew   bool
	timeout time.Duration
	create  creation
}

func requestCommand(e *cli.Env) *cobra.Command {
	r := &request{env: e}
	c := &cobra.Command{
		Use:   "request [NAME]",
		Short: "Write the request to upload at Apple to a file",
		Long: `Write the request to upload at Apple to a file.

It waits until the operator has made the request and an MDM vendor has signed it, writes what status.pushCertificateRequest holds to
PushCertificateRequest-NAME.plist.b64, and says what to do with it. With --csr it writes the bare certificate request, for a vendor to sign, to
CertificateSigningRequest-NAME.pem. NAME may be left out if there is one APNSCertificate in the namespace.

--renew starts another request now; the one that waits is given up. The certificate in use stays in use. (When spec.renewBefore is left the
operator starts it by itself.)

Rights: get and watch on apnscertificates.mdm.kubemdm.io, list without NAME; patch with --renew; create with --create.`,
		Example: `  # Make the APNSCertificate push, and have mdmcert.download sign its request
  kubectl mdm apns request push --create --mdmcert-email mdm@example.com --mdmcert-api-key-secret mdmcert --apple-account mdm@example.com

  # Write the file to upload at https://identity.apple.com/pushcert
  kubectl mdm apns request push

  # Write the bare request for an MDM vendor to standard output
  kubectl mdm apns request push --csr --output -

  # Renew before the time
  kubectl mdm apns request push --renew`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: complete(e),
	}
	c.RunE = e.Run(func(cmd *cobra.Command, s *cli.Session, args []string) error { return r.run(cmd.Context(), s, args) })
	c.Flags().StringVarP(&r.output, "output", "f", "", `the file to write, "-" for standard output (default a name after NAME in the current folder)`)
	c.Flags().BoolVar(&r.csr, "csr", false, "write the bare certificate request (PEM), for an MDM vendor to sign")
	c.Flags().BoolVar(&r.renew, "renew", false, "start another request first")
	cli.TimeoutFlag(c, &r.timeout)
	r.create.flags(c)
	return c
}

func (r *request) run(ctx context.Context, s *cli.Session, args []string) error {
	c, err := r.certificate(ctx, s, args)
	if err != nil {
		return err
	}
	var asked string
	if r.renew {
		if asked, err = r.startAgain(ctx, s, c); err != nil {
			return err
		}
	}
	c, err = r.await(ctx, s, c, asked)
	if err != nil {
		return err
	}
	return r.write(c)
}

// certificate reads the one that is asked for, or makes it.
func (r *request) certificate(ctx context.Context, s *cli.Session, args []string) (*mdmv1alpha1.APNSCertificate, error) {
	if !r.create.wanted {
		return named(ctx, s, args)
	}
	if len(args) == 0 {
		return nil, errors.New("--create needs a name: kubectl mdm apns request NAME --create")
	}
	return r.create.ensure(ctx, r.env, s, args[0])
}

// startAgain sets the annotation for another request.
func (r *request) startAgain(ctx context.Context, s *cli.Session, c *mdmv1alpha1.APNSCertificate) (asked string, err error) {
	if !c.Requests() {
		return "", notRequested(c)
	}
	return change(ctx, r.env, s, c, nil, fields{mdmv1alpha1.AnnotationRenew: stamp(r.env)})
}

func notRequested(c *mdmv1alpha1.APNSCertificate) error {
	return fmt.Errorf("no certificate is requested for %s, since somebody else looks after the pair in the Secret %s: set spec.vendor to have the operator renew it", c.Name, c.Spec.SecretRef.Name)
}

// file is what is asked for in the status, "" while it is not there.
func (r *request) file(c *mdmv1alpha1.APNSCertificate) string {
	if r.csr {
		return c.Status.CertificateSigningRequest
	}
	return c.Status.PushCertificateRequest
}

func (r *request) await(ctx context.Context, s *cli.Session, c *mdmv1alpha1.APNSCertificate, asked string) (*mdmv1alpha1.APNSCertificate, error) {
	steps := []string{mdmv1alpha1.APNSCertificateKeyReady, mdmv1alpha1.APNSCertificateCSRReady}
	what := "there is no request yet"
	if !r.csr {
		steps, what = append(steps, mdmv1alpha1.APNSCertificateVendorSigned), "the request is not signed yet"
	}
	renewal := c.Annotations[mdmv1alpha1.AnnotationRenew]
	return cli.Wait[mdmv1alpha1.APNSCertificate, *mdmv1alpha1.APNSCertificate]{
		Key: client.ObjectKeyFromObject(c), List: &mdmv1alpha1.APNSCertificateList{}, Timeout: r.timeout,
		Done: func(c *mdmv1alpha1.APNSCertificate) (bool, error) {
			switch {
			case !observed(c, asked):
				return false, paused(c)
			case r.file(c) != "" && c.Status.LastHandledRenew == renewal:
				return true, nil
			case meta.IsStatusConditionTrue(c.Status.Conditions, mdmv1alpha1.APNSCertificateCSRReady) && c.Status.CertificateSigningRequest == "":
				return false, r.noneWaits(c)
			}
			return false, hindrance(c, what, steps...)
		},
		Doing: func(c *mdmv1alpha1.APNSCertificate) string { return doing(c, asked, steps...) },
	}.For(ctx, r.env, s)
}

// noneWaits says why there is nothing to write.
func (r *request) noneWaits(c *mdmv1alpha1.APNSCertificate) error {
	if !c.Requests() {
		return notRequested(c)
	}
	if c.Status.NotAfter == nil {
		return stalled(c, "there is no request yet")
	}
	return fmt.Errorf("no request waits: the certificate of %s is good until %s (%s), and the operator makes the next request in time; --renew makes it now",
		c.Name, look.Date(c.Status.NotAfter.Time), look.Days(c.Status.NotAfter.Sub(r.env.Clock.Now())))
}

func (r *request) write(c *mdmv1alpha1.APNSCertificate) error {
	name := r.output
	switch {
	case name != "":
	case r.csr:
		name = "CertificateSigningRequest-" + c.Name + ".pem"
	default:
		name = "PushCertificateRequest-" + c.Name + ".plist.b64"
	}
	if err := r.env.WriteFile(name, []byte(r.file(c))); err != nil {
		return fmt.Errorf("writing the request: %w", err)
	}
	notes := r.env.Out
	if name == cli.Standard {
		notes = r.env.ErrOut
	} else if _, err := fmt.Fprintf(notes, "Wrote %s\n", name); err != nil {
		return err
	}
	return printNext(notes, c)
}

// printNext prints what a person does next.
func printNext(w io.Writer, c *mdmv1alpha1.APNSCertificate) error {
	if c.Status.NextStep == "" {
		return nil
	}
	_, err := fmt.Fprintf(w, "Next step: %s\n", printers.EscapeTerminal(c.Status.NextStep))
	return err
}
