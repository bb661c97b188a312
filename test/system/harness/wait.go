package harness

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

const (
	// Patience is how long each wait may last: far above what anything here takes on two slow cores.
	Patience = 4 * time.Minute
	interval = 250 * time.Millisecond
	// progressEvery is how often Progress hears of a wait that lasts.
	progressEvery = 10 * time.Second
)

// Check looks once. What it returns besides done is what is still missing, in words.
type Check func(context.Context) (done bool, missing string, err error)

// Wait calls check until it is done. Errors are passed over until Patience is over, since API servers and pods come and go; the last
// one, or what was still missing, is then the error.
func (c *Cluster) Wait(ctx context.Context, what string, check Check) error {
	var last string
	told := time.Now()
	err := wait.PollUntilContextTimeout(ctx, interval, cmp.Or(c.Patience, Patience), true, func(ctx context.Context) (bool, error) {
		done, missing, err := check(ctx)
		if err != nil && ctx.Err() == nil {
			missing = err.Error()
		}
		if missing != "" {
			last = missing
		}
		if c.Progress != nil && !done && time.Since(told) > progressEvery {
			c.Progress(fmt.Sprintf("waiting for %s: %s", what, last))
			told = time.Now()
		}
		return done && err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %s: %w; last seen: %s", what, err, last)
	}
	return nil
}

// Satisfied is a Check: an object has these conditions for its current generation.
func (c *Cluster) Satisfied(obj mdmv1alpha1.Object, conditions ...string) Check {
	return func(ctx context.Context) (bool, string, error) {
		if err := c.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return false, "", err
		}
		status := obj.GetCommonStatus()
		if status.ObservedGeneration != obj.GetGeneration() {
			return false, fmt.Sprintf("%s: generation %d of %d seen", obj.GetName(), status.ObservedGeneration, obj.GetGeneration()), nil
		}
		for _, name := range conditions {
			if !meta.IsStatusConditionTrue(status.Conditions, name) {
				return false, describe(obj, name), nil
			}
		}
		return true, "", nil
	}
}

// describe says how a condition is and why.
func describe(obj mdmv1alpha1.Object, name string) string {
	condition := meta.FindStatusCondition(obj.GetCommonStatus().Conditions, name)
	if condition == nil {
		return fmt.Sprintf("%s has no condition %s", obj.GetName(), name)
	}
	return fmt.Sprintf("%s is %s=%s (%s): %s", obj.GetName(), name, condition.Status, condition.Reason, condition.Message)
}
