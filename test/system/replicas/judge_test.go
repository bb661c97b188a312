package replicas

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/system/harness"
)

// unnoticed is a step that no device may notice.
func unnoticed(seen tally) error {
	if seen.failed > 0 || seen.broken > 0 {
		return fmt.Errorf("%d requests failed and %d connections broke: %w", seen.failed, seen.broken, seen.first)
	}
	return nil
}

// toldToComeBack is a step in which the server may send devices away for a while.
func toldToComeBack(seen tally) error {
	for refusal := range seen.refusals {
		// Devices that come back all at once may wait for one another; such a try has no answer.
		waited := strings.HasPrefix(refusal, context.DeadlineExceeded.Error())
		if refusal != http.StatusText(http.StatusServiceUnavailable) && !waited {
			return fmt.Errorf("devices were answered with %v, of which 503 alone has them come back: %w", seen.refusals, seen.first)
		}
	}
	if seen.impatient > 0 {
		return fmt.Errorf("%d answers did not say when to come back", seen.impatient)
	}
	if seen.recovery > recoveryLimit {
		return fmt.Errorf("the last Mac was served %s after the database was back", seen.recovery)
	}
	return nil
}

// pods are those of the server, and podsKept makes sure that none was restarted by itself.
func (r *replicas) pods(ctx context.Context) ([]corev1.Pod, error) {
	pods := &corev1.PodList{}
	err := r.List(ctx, pods, client.InNamespace(namespace), client.MatchingLabels{mdmv1alpha1.LabelServer: harness.ServerName})
	return pods.Items, err
}

func (r *replicas) podsKept(ctx context.Context) error {
	pods, err := r.pods(ctx)
	for _, pod := range pods {
		allowed := int32(0)
		if pod.UID == r.killed {
			allowed = 1
		}
		for _, status := range pod.Status.ContainerStatuses {
			if status.RestartCount != allowed {
				err = errors.Join(err, fmt.Errorf("%s was restarted %d times, not %d times", pod.Name, status.RestartCount, allowed))
			}
		}
	}
	return err
}

func (r *replicas) server(ctx context.Context) (*mdmv1alpha1.MDMServer, error) {
	server := &mdmv1alpha1.MDMServer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: harness.ServerName}}
	return server, r.Get(ctx, client.ObjectKeyFromObject(server), server)
}

// epochKept makes sure that the store is the one that it was: another one would have everything told again.
func (r *replicas) epochKept(ctx context.Context) error {
	server, err := r.server(ctx)
	if err != nil {
		return err
	}
	if r.epoch == "" {
		r.epoch = server.Status.StoreEpoch
	}
	if now := server.Status.StoreEpoch; now == "" || now != r.epoch {
		return fmt.Errorf("the store was %q and is %q", r.epoch, now)
	}
	return nil
}

// pushes are those to each Mac so far.
func (r *replicas) pushes(ctx context.Context) []int {
	accepted, err := r.Pushes(ctx)
	if err != nil {
		r.log("counting pushes: %v", err)
		return nil
	}
	all := make([]int, 0, macs)
	for _, mac := range r.macs.Devices {
		all = append(all, accepted[hex.EncodeToString(mac.Channel().PushToken())])
	}
	return all
}

// underWay is how much of what was wanted before a step the server may not have heard of yet.
const underWay = 3

// noStorm makes sure that no Mac was pushed to more than once for each piece of work that came since, and for what was under way: three servers that
// each push, or one that pushes to everybody when it starts, would be more. A Mac that is not heard from is pushed to again, after a minute at first.
func (r *replicas) noStorm(ctx context.Context, before []int, works int32) error {
	now, bound, most, sum := r.pushes(ctx), int(r.flow.works.Load()-works)+underWay, 0, 0
	if len(now) != len(before) || len(now) == 0 {
		return errors.New("the pushes could not be counted")
	}
	for i := range now {
		most, sum = max(most, now[i]-before[i]), sum+now[i]-before[i]
	}
	r.log("pushes: %d at most to one Mac and %.1f on the average, for %d pieces of work", most, float64(sum)/macs, bound-underWay)
	if most > bound {
		return fmt.Errorf("a Mac was pushed to %d times for %d pieces of work", most, bound-underWay)
	}
	return nil
}
