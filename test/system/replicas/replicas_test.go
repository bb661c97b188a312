package replicas

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
	"github.com/kubemdm/kubemdm/test/system/harness"
)

const (
	namespace = "kubemdm-replicas"
	count     = 3
	macs      = 60
	pcs       = 4
	program   = "mdmserver"
	// macPause and pcPause are between two connections of a device, which is far less than a real one takes.
	macPause = time.Second
	pcPause  = 2 * time.Second
	// recoveryLimit is how soon after the database answers again each Mac is served, on two slow cores, with all that was wanted meanwhile to be done.
	recoveryLimit = 30 * time.Second
)

// TestReplicas breaks and replaces what a server on PostgreSQL is made of, one thing after the other, while devices never stop to connect and somebody
// never stops to want something new of them. Each request of a device is made three times at most, within 5 s, and then counts as failed. None may fail,
// but while the database is away: then devices are told to come back, and no answer may make one leave.
//
// At the end every command has one result of every device, the devices have done nothing twice that they had answered, they have the last content of each
// profile, and each Device says of its device what is true.
func TestReplicas(t *testing.T) {
	r := newReplicas(t)
	r.Server = map[string]string{"REPLICAS": fmt.Sprint(count), "STORAGE": storage}
	r.Around = r.traffic.carry
	steps := r.ToServer()
	steps = slices.Insert(steps, len(steps)-1, r.databaseStep())
	harness.Take(t, steps...)
	harness.Take(t, harness.Step{Title: fmt.Sprintf("%d Macs and %d PCs are enrolled", macs, pcs), Do: r.enrol})
	r.run(t)
	harness.Take(t,
		harness.Step{Title: "every command has one result of every device", Do: r.resultsOnce},
		harness.Step{Title: "every profile is installed as the devices say", Do: r.profilesInstalled},
		harness.Step{Title: "every Device tells the truth", Do: r.devicesTrue},
	)
}

// run takes the steps under load.
func (r *replicas) run(t *testing.T) {
	stopFlow := func() error { return nil }
	t.Cleanup(r.traffic.start(t.Context()))
	harness.Take(t,
		r.step("nothing happens", r.nothing, unnoticed),
		harness.Step{Title: "somebody begins to want something", Do: func(context.Context) error {
			stopFlow = r.flow.start(t.Context())
			return nil
		}},
		r.step("one server is killed", r.kill, unnoticed),
		r.step("all pods are replaced", r.rollOut, unnoticed),
		r.step("the database crashes and comes back", r.crash, toldToComeBack),
		r.step("what was wanted meanwhile is done", r.caughtUp, unnoticed),
		r.step("the password is rotated", r.rotate, unnoticed),
		r.step("one pod fewer", r.scale(count-1), unnoticed),
		r.step("one pod more", r.scale(count), unnoticed),
	)
	if err := stopFlow(); err != nil {
		t.Fatal(err)
	}
}

// replicas is what one step hands to the next.
type replicas struct {
	*harness.Walk
	database *database
	traffic  *traffic
	flow     *flow
	log      func(string, ...any)
	macs     *harness.Macs
	pcs      []*windows.PC
	// before are the enrolments by serial number, epoch is the store's, and killed is the pod that was restarted.
	before map[string]string
	epoch  string
	killed types.UID
}

// newReplicas starts a walk with a PostgreSQL beside it.
func newReplicas(t *testing.T) *replicas {
	t.Helper()
	cluster, err := harness.Connect()
	if err != nil {
		t.Fatal(err)
	}
	db := newDatabase(t, cluster)
	walk := harness.Start(t, namespace)
	return &replicas{Walk: walk, database: db, traffic: &traffic{}, flow: &flow{Walk: walk}, log: t.Logf}
}

// databaseStep tells Kubernetes how the PostgreSQL is reached.
func (r *replicas) databaseStep() harness.Step {
	return harness.Step{Title: "a PostgreSQL has a database for it", Do: func(ctx context.Context) error { return r.database.publish(ctx, r.Cluster) }}
}

func (r *replicas) enrol(ctx context.Context) (err error) {
	if r.macs, err = r.EnrolMacs(ctx, macTeam, macs); err != nil {
		return err
	}
	if r.pcs, err = r.EnrolPCs(ctx, pcTeam, pcs); err != nil {
		return err
	}
	for _, mac := range r.macs.Devices {
		r.traffic.lanes = append(r.traffic.lanes, &lane{name: mac.Hardware().SerialNumber, connect: mac.Idle, pause: macPause})
	}
	for _, pc := range r.pcs {
		session := func(ctx context.Context) error {
			_, err := pc.Session(ctx, windows.SessionOptions{})
			return err
		}
		// A PC waits 30 s, as it was told when it enrolled, before it sends a message again that was refused.
		r.traffic.lanes = append(r.traffic.lanes, &lane{name: pc.Hardware().SerialNumber, connect: session, pause: pcPause, patient: true})
	}
	for _, file := range []string{"profile.yaml", "camera.yaml"} {
		if err := r.ApplyFile(ctx, namespace, file, nil); err != nil {
			return err
		}
	}
	for _, l := range r.traffic.lanes { // a PC has no Device before its first session
		if err := l.connect(ctx); err != nil {
			return err
		}
	}
	return r.allTold(ctx)
}

// step is a step under load. It ends when every device has connected once more after it, and judge says whether devices may experience that.
func (r *replicas) step(title string, do func(context.Context) error, judge func(tally) error) harness.Step {
	return harness.Step{Title: title, Do: func(ctx context.Context) error {
		pushes, works := r.pushes(ctx), r.flow.works.Load()
		r.traffic.reset()
		if err := do(ctx); err != nil {
			return err
		}
		over := time.Now()
		err := errors.Join(r.served(ctx, over, false), r.served(ctx, over, true))
		seen := r.traffic.counted()
		r.log("%s: %s; all Macs served %.1f s after it", title, &seen, seen.recovery.Seconds())
		if err == nil {
			err = judge(seen)
		}
		return errors.Join(err, r.podsKept(ctx), r.epochKept(ctx), r.noStorm(ctx, pushes, works))
	}}
}

// served waits until every device has connected since a moment.
func (r *replicas) served(ctx context.Context, since time.Time, all bool) error {
	err := r.Wait(ctx, "every device to connect", func(context.Context) (bool, string, error) {
		n := r.traffic.missing(since, all)
		return n == 0, fmt.Sprintf("%d have not", n), nil
	})
	if !all {
		r.traffic.mu.Lock()
		defer r.traffic.mu.Unlock()
		r.traffic.recovery = time.Since(since)
	}
	return err
}

// nothing is the measure of what follows.
func (r *replicas) nothing(ctx context.Context) error {
	return r.Wait(ctx, "10 requests of each device", func(context.Context) (bool, string, error) {
		seen := r.traffic.counted()
		return seen.requests > 10*(macs+pcs), seen.String(), nil
	})
}

func (r *replicas) kill(ctx context.Context) error {
	pods, err := r.pods(ctx)
	if err != nil {
		return err
	}
	r.killed = pods[0].UID
	return r.Kill(ctx, &pods[0], program)
}

// rollOut is kubectl rollout restart.
func (r *replicas) rollOut(ctx context.Context) error {
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: harness.ServerName}}
	patch := fmt.Sprintf(`{"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": %q}}}}}`, time.Now().Format(time.RFC3339))
	if err := r.Patch(ctx, deployment, client.RawPatch(types.StrategicMergePatchType, []byte(patch))); err != nil {
		return err
	}
	return r.replaced(ctx, count)
}

// replaced waits until so many pods of the present kind are ready, and no others are there.
func (r *replicas) replaced(ctx context.Context, want int) error {
	return r.Wait(ctx, "the pods", func(ctx context.Context) (bool, string, error) {
		deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: harness.ServerName}}
		if err := r.Get(ctx, client.ObjectKeyFromObject(deployment), deployment); err != nil {
			return false, "", err
		}
		pods, err := r.pods(ctx)
		s := deployment.Status
		done := s.ObservedGeneration == deployment.Generation && int(*deployment.Spec.Replicas) == want && len(pods) == want &&
			int(s.UpdatedReplicas) == want && int(s.ReadyReplicas) == want && int(s.AvailableReplicas) == want
		return done, fmt.Sprintf("%d pods, %d of %d updated, %d ready", len(pods), s.UpdatedReplicas, s.Replicas, s.ReadyReplicas), err
	})
}

// crash ends the database without a word, until every Mac was sent away and the MDMServer tells of it.
func (r *replicas) crash(ctx context.Context) error {
	r.database.Crash()
	err := errors.Join(
		r.Wait(ctx, "every device to be told to come back", func(context.Context) (bool, string, error) {
			n := r.traffic.refused()
			return n >= macs, fmt.Sprintf("%d were", n), nil
		}),
		r.storeReady(ctx, false),
		r.podsReady(ctx),
	)
	r.database.Resume()
	return err
}

// caughtUp is a step after which all is done that was wanted while the database was away.
func (r *replicas) caughtUp(ctx context.Context) error {
	until := metav1.Now()
	if err := r.storeReady(ctx, true); err != nil {
		return err
	}
	return r.Wait(ctx, "what was wanted meanwhile", func(ctx context.Context) (bool, string, error) {
		commands := &mdmv1alpha1.DeviceCommandList{}
		err := r.List(ctx, commands, client.InNamespace(namespace))
		open := slices.DeleteFunc(commands.Items, func(c mdmv1alpha1.DeviceCommand) bool {
			return c.Status.FinishedAt != nil || !c.CreationTimestamp.Before(&until)
		})
		return len(open) == 0, fmt.Sprintf("%d DeviceCommands are not over", len(open)), err
	})
}

// storeReady waits until the MDMServer says so.
func (r *replicas) storeReady(ctx context.Context, want bool) error {
	if _, _, err := r.Look(ctx); err != nil {
		return err
	}
	return r.Wait(ctx, fmt.Sprintf("StoreReady to be %t", want), func(ctx context.Context) (bool, string, error) {
		server, err := r.server(ctx)
		if err != nil {
			return false, "", err
		}
		condition := meta.FindStatusCondition(server.Status.Conditions, mdmv1alpha1.MDMServerStoreReady)
		return condition != nil && (condition.Status == metav1.ConditionTrue) == want, fmt.Sprintf("%+v", condition), nil
	})
}

// podsReady makes sure that the pods stay ready while the database is away: none would do better.
func (r *replicas) podsReady(ctx context.Context) error {
	pods, err := r.pods(ctx)
	for _, pod := range pods {
		if !slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue }) {
			err = errors.Join(err, fmt.Errorf("%s is not ready while the database is away", pod.Name))
		}
	}
	return err
}

// rotate changes the password in the database and in the Secret, until all connections were made with the new one.
func (r *replicas) rotate(ctx context.Context) error {
	old, err := r.database.rotate(ctx, r.Cluster)
	if err != nil {
		return err
	}
	since := r.database.now()
	if err := r.nudge(ctx); err != nil {
		return err
	}
	err = r.Wait(ctx, "connections with the new password", func(context.Context) (bool, string, error) {
		left, all := r.database.connections(since), r.database.connections("infinity")
		return left == 0 && all >= count, fmt.Sprintf("%d of %d are older", left, all), nil
	})
	return errors.Join(err, r.database.refuses(ctx, old))
}

// nudge has kubelet look at the pods now, which it does every minute or so: it brings them the Secret as it is.
func (r *replicas) nudge(ctx context.Context) error {
	pods, err := r.pods(ctx)
	for _, pod := range pods {
		patch := fmt.Sprintf(`{"metadata": {"annotations": {"nudged": %q}}}`, time.Now().Format(time.RFC3339))
		err = errors.Join(err, r.Patch(ctx, &pod, client.RawPatch(types.MergePatchType, []byte(patch))))
	}
	return err
}

// scale is kubectl scale. The pods share the connections to the database, so all are replaced.
func (r *replicas) scale(want int32) func(context.Context) error {
	return func(ctx context.Context) error {
		server, err := r.server(ctx)
		if err != nil {
			return err
		}
		scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: want}}
		if err := r.SubResource("scale").Update(ctx, server, client.WithSubResourceBody(scale)); err != nil {
			return err
		}
		return r.replaced(ctx, int(want))
	}
}
