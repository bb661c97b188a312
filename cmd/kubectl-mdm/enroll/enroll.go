package enroll

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doing"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// The keys of a token's Secret.
const (
	keyToken = "token"
	keyURL   = "url"
)

// enroll is what the command was asked for.
type enroll struct {
	env       *cli.Env
	server    string
	labels    map[string]string
	maxUses   int32
	expires   string
	platforms []string
	device    string
	qr, noQR  bool
	output    string
	timeout   time.Duration
}

// Command is "kubectl mdm enroll".
func Command(e *cli.Env) *cobra.Command {
	o := &enroll{env: e}
	c := &cobra.Command{
		Use:   "enroll [NAME]",
		Short: "Make an enrolment token, and show how to use it on a device",
		Long: `Make an enrolment token, and show how to use it on a device.

It creates an EnrollmentToken, waits until the server knows it, and prints the address for Apple devices, also as a QR code for the camera of an iPhone or iPad,
and for PCs what to open and type. Whoever sees this can enrol a device: show it to those people only. The token ends after a week, if --expires says
nothing else.

--server names the MDMServer here, not the API server of the cluster: --context chooses that.

Rights: create, get and watch on enrollmenttokens.mdm.kubemdm.io, list on mdmservers.mdm.kubemdm.io without --server, and get on the Secret of the token,
which only the roles edit and admin of Kubernetes have in a namespace. The role editor has the others.`,
		Example: `  # For one device, within a week
  kubectl mdm enroll --max-uses 1

  # For the 25 Macs of a team, which get its profiles at once
  kubectl mdm enroll design-team --label example.com/team=design --platform Apple --max-uses 25 --expires 30d

  # For one Device that is declared, even if it is enrolled still
  kubectl mdm enroll --device ana-macbook`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	c.RunE = e.Run(func(cmd *cobra.Command, s *cli.Session, args []string) error { return o.run(cmd.Context(), s, args) })
	o.flags(c)
	return c
}

func (o *enroll) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.server, "server", "", "the MDMServer; absent: the only one of the namespace")
	f.StringToStringVar(&o.labels, "label", nil, "a label that devices get, as KEY=VALUE; several times for several")
	f.Int32Var(&o.maxUses, "max-uses", 0, "how many devices may enrol; absent: no limit")
	f.StringVar(&o.expires, "expires", "7d", "after what time the token ends, such as 12h, 7d or 4w; never: it does not")
	f.StringSliceVar(&o.platforms, "platform", nil, "Apple or Windows; absent: all that the server serves")
	f.StringVar(&o.device, "device", "", "the one Device that may enrol; it may take the place of its own live enrolment")
	f.BoolVar(&o.qr, "qr", true, "show the address as a QR code")
	f.BoolVar(&o.noQR, "no-qr", false, "show no QR code")
	look.OutputFlag(c, &o.output)
	cli.TimeoutFlag(c, &o.timeout)
	utilruntime.Must(c.RegisterFlagCompletionFunc("server", doing.FlagNames(o.env, func() client.ObjectList { return &mdmv1alpha1.MDMServerList{} })))
	utilruntime.Must(c.RegisterFlagCompletionFunc("device", doing.FlagNames(o.env, func() client.ObjectList { return &mdmv1alpha1.DeviceList{} })))
	utilruntime.Must(c.RegisterFlagCompletionFunc("platform", cobra.FixedCompletions(
		[]cobra.Completion{string(mdmv1alpha1.PlatformApple), string(mdmv1alpha1.PlatformWindows)}, cobra.ShellCompDirectiveNoFileComp)))
	c.MarkFlagsMutuallyExclusive("qr", "no-qr")
}

func (o *enroll) run(ctx context.Context, s *cli.Session, args []string) error {
	token, err := o.make(ctx, s, args)
	if err != nil {
		return err
	}
	if token, err = o.await(ctx, s, token); err != nil {
		return err
	}
	secret, err := o.secret(ctx, s, token)
	if err != nil {
		return err
	}
	return o.show(token, secret)
}

func (o *enroll) make(ctx context.Context, s *cli.Session, args []string) (*mdmv1alpha1.EnrollmentToken, error) {
	ctx, cancel := context.WithTimeout(ctx, doing.Deadline)
	defer cancel()
	if err := look.CheckOutput(o.output); err != nil {
		return nil, err
	}
	t := &mdmv1alpha1.EnrollmentToken{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, GenerateName: "enroll-"}}
	if len(args) > 0 {
		t.Name, t.GenerateName = args[0], ""
	}
	end, err := ending(o.expires, o.env.Clock.Now())
	if err != nil {
		return nil, err
	}
	t.Spec = mdmv1alpha1.EnrollmentTokenSpec{MaxUses: o.maxUses, ExpiresAt: end, Labels: o.labels}
	for _, platform := range o.platforms {
		t.Spec.Platforms = append(t.Spec.Platforms, mdmv1alpha1.Platform(platform))
	}
	if err := o.target(ctx, s, t); err != nil {
		return nil, err
	}
	err = doing.Refusal(s.Create(ctx, t, client.FieldOwner(cli.FieldManager)))
	if apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("there is an EnrollmentToken %s already, which is left as it is: choose another name, or none", t.Name)
	}
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(o.env.ErrOut, "Made the EnrollmentToken %s in the namespace %s\n", t.Name, s.Namespace)
	return t, err
}

// target sets the server, and the Device if the token is for one.
func (o *enroll) target(ctx context.Context, s *cli.Session, t *mdmv1alpha1.EnrollmentToken) error {
	server := o.server
	if o.device != "" {
		d, err := look.Device(ctx, o.env, s, o.device)
		if err != nil {
			return err
		}
		if server != "" && server != d.Spec.ServerRef.Name {
			return fmt.Errorf("the Device %s belongs to the MDMServer %s", d.Name, d.Spec.ServerRef.Name)
		}
		server, t.Spec.DeviceRef = d.Spec.ServerRef.Name, &mdmv1alpha1.LocalReference{Name: d.Name}
	}
	var err error
	t.Spec.ServerRef.Name, err = doing.Server(ctx, s, server)
	return err
}

func (o *enroll) await(ctx context.Context, s *cli.Session, t *mdmv1alpha1.EnrollmentToken) (*mdmv1alpha1.EnrollmentToken, error) {
	key := client.ObjectKeyFromObject(t)
	ready, err := cli.Wait[mdmv1alpha1.EnrollmentToken, *mdmv1alpha1.EnrollmentToken]{
		Key: key, List: &mdmv1alpha1.EnrollmentTokenList{}, Timeout: o.timeout,
		Done: func(t *mdmv1alpha1.EnrollmentToken) (bool, error) {
			conditions := t.Status.Conditions
			if stalled := meta.FindStatusCondition(conditions, mdmv1alpha1.ConditionStalled); stalled != nil && stalled.Status == metav1.ConditionTrue {
				return false, errors.New(stalled.Message)
			}
			published := meta.IsStatusConditionTrue(conditions, mdmv1alpha1.EnrollmentTokenPublished)
			return published && t.Status.SecretRef != nil && t.Status.ObservedGeneration == t.Generation, nil
		},
		Doing: func(t *mdmv1alpha1.EnrollmentToken) string {
			if published := meta.FindStatusCondition(t.Status.Conditions, mdmv1alpha1.EnrollmentTokenPublished); published != nil && published.Message != "" {
				return published.Message
			}
			return "the operator makes the token"
		},
	}.For(ctx, o.env, s)
	if err != nil {
		return nil, fmt.Errorf("the EnrollmentToken %s is there and not ready: %w; kubectl delete enrollmenttoken %s takes it away", key.Name, err, key.Name)
	}
	return ready, nil
}

// secret reads what the operator wrote.
func (o *enroll) secret(ctx context.Context, s *cli.Session, t *mdmv1alpha1.EnrollmentToken) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, doing.Deadline)
	defer cancel()
	secret, name := &corev1.Secret{}, t.Status.SecretRef.Name
	err := s.Get(ctx, client.ObjectKey{Namespace: t.Namespace, Name: name}, secret)
	if apierrors.IsForbidden(err) {
		// Not wrapped: the advice is here, and no right of this command is missing but this one.
		return nil, fmt.Errorf("the EnrollmentToken %s is ready, but you may not read the Secret %s, which has the token: somebody with the right to does\n"+
			"  kubectl get secret %s --namespace %s --output jsonpath='{.data.%s}' | base64 --decode\n"+
			"or gives you get on this one Secret (%s)", t.Name, name, name, t.Namespace, o.wanted(t), err.Error())
	}
	if err != nil {
		return nil, fmt.Errorf("reading the Secret of the token: %w", err)
	}
	return secret, nil
}

// wanted is the key of the Secret that a person needs.
func (o *enroll) wanted(t *mdmv1alpha1.EnrollmentToken) string {
	if t.Status.URL == "" {
		return keyToken
	}
	return keyURL
}
