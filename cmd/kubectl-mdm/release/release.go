package release

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doing"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// release is what the command was asked for.
type release struct {
	env     *cli.Env
	yes     bool
	wait    bool
	timeout time.Duration
}

// Command is "kubectl mdm release".
func Command(e *cli.Env) *cobra.Command {
	o := &release{env: e}
	c := &cobra.Command{
		Use:   "release DEVICE",
		Short: "End an enrolment at the server, so that the device can enrol anew",
		Long: `End an enrolment at the server, so that the device can enrol anew.

While a device is enrolled, nobody can enrol it again with a new identity: that would be a takeover. A Mac that was erased without telling its server must be
released before it enrols again. Nothing is sent to the device: one that was not erased keeps its profiles, and is managed no more until it enrols again.

It sets the annotation mdm.kubemdm.io/release to the id of the present enrolment, so that it hits no later one.

Rights: get, patch and watch on devices.mdm.kubemdm.io. The role editor has them.`,
		Example: `  # A Mac that was erased by hand
  kubectl mdm release ana-macbook

  # The token that lets it enrol
  kubectl mdm enroll --device ana-macbook`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: doing.Devices(e, 1),
	}
	c.RunE = e.Run(func(cmd *cobra.Command, s *cli.Session, args []string) error { return o.run(cmd.Context(), s, args[0]) })
	c.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	c.Flags().BoolVar(&o.wait, "wait", true, "wait until the enrolment has ended")
	cli.TimeoutFlag(c, &o.timeout)
	return c
}

func (o *release) run(ctx context.Context, s *cli.Session, name string) error {
	d, err := look.Device(ctx, o.env, s, name)
	if err != nil {
		return err
	}
	enrolment := d.Status.Enrollment
	if enrolment == nil || enrolment.State == mdmv1alpha1.EnrollmentEnded {
		return fmt.Errorf("%s has no live enrolment, and nothing keeps it from enrolling: kubectl mdm enroll --device %s makes a token", d.Name, d.Name)
	}
	if !o.yes {
		if err := doing.Agree(o.env, question(d)); err != nil {
			return err
		}
	}
	if err := o.annotate(ctx, s, d, enrolment.ID); err != nil {
		return err
	}
	if o.wait {
		if err := o.await(ctx, s, d, enrolment.ID); err != nil {
			return err
		}
		_, err = fmt.Fprintf(o.env.Out, "%s is released: any token lets it enrol\n", d.Name)
		return err
	}
	_, err = fmt.Fprintf(o.env.Out, "%s will be released\n", d.Name)
	return err
}

func question(d *mdmv1alpha1.Device) string {
	since := ""
	if d.Status.Enrollment.Since != nil {
		since = " since " + look.Date(d.Status.Enrollment.Since.Time)
	}
	text := fmt.Sprintf("This ends the enrolment %s of %s (serial number %s, %s%s) at the server.\n",
		d.Status.Enrollment.ID, d.Name, look.Serial(d), look.Enrolment(d), since)
	text += "The device is told nothing: if it was not erased, it keeps its profiles and is managed no more until it enrols again.\n"
	return text + "Whoever has a token can then enrol a device as this one. Go on?"
}

func (o *release) annotate(ctx context.Context, s *cli.Session, d *mdmv1alpha1.Device, id string) error {
	ctx, cancel := context.WithTimeout(ctx, doing.Deadline)
	defer cancel()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": d.UID, "annotations": map[string]string{mdmv1alpha1.AnnotationRelease: id},
	}})
	if err != nil {
		return err
	}
	err = doing.Refusal(s.Patch(ctx, d, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(cli.FieldManager)))
	if err != nil {
		return fmt.Errorf("setting the annotation of %s: %w", d.Name, err)
	}
	return nil
}

func (o *release) await(ctx context.Context, s *cli.Session, d *mdmv1alpha1.Device, id string) error {
	_, err := cli.Wait[mdmv1alpha1.Device, *mdmv1alpha1.Device]{
		Key: client.ObjectKeyFromObject(d), List: &mdmv1alpha1.DeviceList{}, Timeout: o.timeout,
		Done: func(d *mdmv1alpha1.Device) (bool, error) {
			now := d.Status.Enrollment
			return now == nil || now.ID != id || now.State == mdmv1alpha1.EnrollmentEnded, nil
		},
		Doing: func(d *mdmv1alpha1.Device) string {
			for _, condition := range d.Status.Conditions {
				if condition.Type == mdmv1alpha1.ConditionReady && condition.Status != metav1.ConditionTrue {
					return condition.Message
				}
			}
			return "the enrolment ends at the server"
		},
	}.For(ctx, o.env, s)
	return err
}
