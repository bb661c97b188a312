package migratestore

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// maxWords is how much of what the Job says besides its counts is repeated, in lines.
const maxWords = 20

// progress is a line of the Job's log: a table that is copied, or the end.
type progress struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
	Done  bool   `json:"done"`
}

// tally is what the log of the Job says.
type tally struct {
	tables map[string]int64
	total  int64
	done   bool
	words  []string
}

// copy runs the Job to its end and checks what it counted.
func (m *move) copy(ctx context.Context) (rows int64, tables int, err error) {
	if err := m.within(ctx, m.createJob); err != nil {
		return 0, 0, fmt.Errorf("creating the Job %s: %w", m.jobName(), err)
	}
	if _, err := m.await(ctx, "the pod of the Job starts", func(job *batchv1.Job) bool {
		return job.Status.Ready != nil && *job.Status.Ready > 0 || job.Status.Succeeded > 0 || job.Status.Failed > 0
	}); err != nil {
		return 0, 0, m.why(ctx, err)
	}
	t := m.read(ctx, true)
	job, err := m.await(ctx, "the Job ends", func(*batchv1.Job) bool { return false })
	if err != nil {
		return 0, 0, err
	}
	if !t.done { // the log was cut off, or there was none yet
		t = m.read(ctx, false)
	}
	if err := t.judge(job); err != nil {
		return 0, 0, err
	}
	return t.total, len(t.tables), nil
}

// await follows the Job until something holds or it has ended.
func (m *move) await(ctx context.Context, doing string, holds func(*batchv1.Job) bool) (*batchv1.Job, error) {
	return cli.Wait[batchv1.Job, *batchv1.Job]{
		Key: client.ObjectKey{Namespace: m.server.Namespace, Name: m.jobName()}, List: &batchv1.JobList{}, Timeout: m.timeout,
		Done: func(job *batchv1.Job) (bool, error) {
			return ended(job, batchv1.JobComplete) || ended(job, batchv1.JobFailed) || holds(job), nil
		},
		Doing: func(*batchv1.Job) string { return doing },
		Late:  "--timeout waits longer",
	}.For(ctx, m.env, m.session)
}

// pods are those of the Job.
func (m *move) pods(ctx context.Context) ([]corev1.Pod, error) {
	list := &corev1.PodList{}
	err := m.session.List(ctx, list, client.InNamespace(m.server.Namespace), client.MatchingLabels{batchv1.JobNameLabel: m.jobName()})
	return list.Items, err
}

// why adds what keeps the pod from starting to an error.
func (m *move) why(ctx context.Context, cause error) error {
	var reasons []string
	err := m.within(context.WithoutCancel(ctx), func(ctx context.Context) error {
		pods, err := m.pods(ctx)
		for i := range pods {
			for _, c := range pods[i].Status.Conditions {
				if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
					reasons = append(reasons, c.Message)
				}
			}
			for _, c := range pods[i].Status.ContainerStatuses {
				if c.State.Waiting != nil {
					reasons = append(reasons, strings.TrimSuffix(c.State.Waiting.Reason+": "+c.State.Waiting.Message, ": "))
				}
			}
		}
		return err
	})
	if err != nil || len(reasons) == 0 {
		return cause
	}
	return fmt.Errorf("%w\nThe pod of the Job waits: %s", cause, printers.EscapeTerminal(strings.Join(reasons, "; ")))
}

// read reads the log of the Job's pod; with follow until the pod has ended. What cannot be read is missing in the tally, which then says so.
func (m *move) read(ctx context.Context, follow bool) *tally {
	t := &tally{tables: map[string]int64{}}
	pods, err := m.pods(ctx)
	if err != nil || len(pods) == 0 {
		return t
	}
	log, err := m.env.Logs(ctx, m.server.Namespace, pods[0].Name, &corev1.PodLogOptions{Container: container, Follow: follow})
	if err != nil {
		return t
	}
	defer log.Close()
	show := look.Progress{Env: m.env}
	defer show.End()
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if p, is := t.take(lines.Text()); is && !p.Done {
			show.Say("%s: %d rows", printers.EscapeTerminal(p.Table), p.Rows)
		}
	}
	return t
}

// take adds a line of the log.
func (t *tally) take(line string) (p progress, is bool) {
	err := json.Unmarshal([]byte(line), &p)
	switch {
	case err == nil && p.Done:
		t.done, t.total = true, p.Rows
	case err == nil && p.Table != "":
		t.tables[p.Table] = p.Rows // the last line of a table has all of its rows
	default:
		if t.words = append(t.words, printers.EscapeTerminal(line)); len(t.words) > maxWords {
			t.words = t.words[1:]
		}
		return p, false
	}
	return p, true
}

// judge says whether the store is copied: the Job has ended well, and what it counted is what it says in the end.
func (t *tally) judge(job *batchv1.Job) error {
	var sum int64
	for _, rows := range t.tables {
		sum += rows
	}
	switch {
	case ended(job, batchv1.JobFailed):
		return fmt.Errorf("the copy failed: %s", t.last(job))
	case !t.done:
		return errors.New("the Job ended well and its log, with the counts, cannot be read: nothing is switched without them. Empty the database before you run this command again")
	case sum != t.total:
		return fmt.Errorf("the Job says that it copied %d rows, and of the tables it says %d: nothing is switched. Please report this", t.total, sum)
	}
	return nil
}

// last is what the log of a Job that failed says, or else its own condition.
func (t *tally) last(job *batchv1.Job) string {
	if len(t.words) > 0 {
		return strings.Join(t.words, "\n  ")
	}
	for _, c := range job.Status.Conditions {
		if c.Type == batchv1.JobFailed {
			return printers.EscapeTerminal(c.Message)
		}
	}
	return "it says nothing of why"
}
