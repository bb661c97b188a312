package migratestore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doing"
)

// stoppedWith are the replicas that the server had before this command, in an earlier run maybe, has stopped it.
func (m *move) stoppedWith() int32 {
	now := ptr.Deref(m.server.Spec.Replicas, 1)
	if word, stopped := m.server.Annotations[former]; stopped && now == 0 {
		if n, err := strconv.ParseInt(word, 10, 32); err == nil && n >= 0 {
			return int32(n)
		}
	}
	return now
}

// stop stops the server and waits until its pod is gone. Who stopped it, and from which replicas, stands in the annotation.
func (m *move) stop(ctx context.Context) error {
	err := m.within(ctx, func(ctx context.Context) error {
		return m.patch(ctx, map[string]any{
			"metadata": map[string]any{"annotations": map[string]any{former: strconv.Itoa(int(m.before))}}, "spec": map[string]any{"replicas": 0},
		})
	})
	if err != nil {
		return fmt.Errorf("stopping %s: %w", m.server.Name, doing.Refusal(err))
	}
	ours := m.server.Generation
	_, err = cli.Wait[mdmv1alpha1.MDMServer, *mdmv1alpha1.MDMServer]{
		Key: client.ObjectKeyFromObject(m.server), List: &mdmv1alpha1.MDMServerList{}, Timeout: m.timeout,
		Done: func(s *mdmv1alpha1.MDMServer) (bool, error) {
			if s.Generation != ours {
				return false, m.changed()
			}
			return s.Status.ObservedGeneration >= ours && s.Status.Replicas != nil && *s.Status.Replicas == 0, nil
		},
		Doing: func(s *mdmv1alpha1.MDMServer) string {
			if s.Status.ObservedGeneration < ours {
				return "the operator has not seen that " + s.Name + " is to stop"
			}
			return "the pod of " + s.Name + " finishes what is under way"
		},
	}.For(ctx, m.env, m.session)
	return err
}

// start gives the server its replicas and waits until it serves.
func (m *move) start(ctx context.Context) error {
	err := m.within(ctx, func(ctx context.Context) error { return m.patch(ctx, m.started(m.after())) })
	if err != nil {
		return fmt.Errorf("%s is on PostgreSQL and still stopped. Run this command again, or: %s: %w", m.server.Name,
			m.command(fmt.Sprintf("scale mdmserver/%s --replicas=%d", m.server.Name, m.after())), doing.Refusal(err))
	}
	if m.after() == 0 {
		return m.finished()
	}
	generation := m.server.Generation
	_, err = cli.Wait[mdmv1alpha1.MDMServer, *mdmv1alpha1.MDMServer]{
		Key: client.ObjectKeyFromObject(m.server), List: &mdmv1alpha1.MDMServerList{}, Timeout: m.timeout,
		Done: func(s *mdmv1alpha1.MDMServer) (bool, error) {
			stalled := condition(s, mdmv1alpha1.ConditionStalled)
			if s.Status.ObservedGeneration < generation || stalled.Status == metav1.ConditionTrue {
				return false, told(stalled)
			}
			return condition(s, mdmv1alpha1.ConditionReady).Status == metav1.ConditionTrue, nil
		},
		Doing: func(s *mdmv1alpha1.MDMServer) string {
			if message := condition(s, mdmv1alpha1.ConditionReady).Message; message != "" && s.Status.ObservedGeneration >= generation {
				return message
			}
			return s.Name + " starts"
		},
	}.For(ctx, m.env, m.session)
	if err != nil {
		return fmt.Errorf("%s is on PostgreSQL, all of its store is there, and it does not serve yet: %w. %s shows how it is; %s says how to go back", m.server.Name, err,
			m.command("mdm status"), guide)
	}
	return m.finished()
}

// condition is one of the server, empty if it has not got it.
func condition(s *mdmv1alpha1.MDMServer, name string) metav1.Condition {
	for _, c := range s.Status.Conditions {
		if c.Type == name {
			return c
		}
	}
	return metav1.Condition{}
}

// told is the error that a condition tells if it is True.
func told(c metav1.Condition) error {
	if c.Status != metav1.ConditionTrue {
		return nil
	}
	return errors.New(c.Message)
}

// goBack starts the server on SQLite again after a failure or an interruption, whatever else has ended.
func (m *move) goBack(ctx context.Context, cause error) error {
	replicas := m.before
	err := m.within(context.WithoutCancel(ctx), func(ctx context.Context) error {
		if err := m.find(ctx, m.server.Name); err != nil {
			return err
		}
		if m.server.Spec.Storage.Type == mdmv1alpha1.StoragePostgreSQL {
			return errors.New("spec.storage is switched already: run this command again, and it goes on")
		}
		if err := m.removeJob(ctx); err != nil {
			return err
		}
		replicas = m.stoppedWith()
		return doing.Refusal(m.patch(ctx, m.started(replicas)))
	})
	if err != nil {
		return fmt.Errorf("%w\nAnd %s could not be started again: %w. Do it yourself: %s", cause, m.server.Name, err,
			m.command(fmt.Sprintf("scale mdmserver/%s --replicas=%d", m.server.Name, replicas)))
	}
	return fmt.Errorf("%w\nThe server %s goes on with SQLite as before: spec.replicas is %d", cause, m.server.Name, replicas)
}

// started is the change that gives a server its replicas and forgets that this command has stopped it.
func (m *move) started(replicas int32) map[string]any {
	return map[string]any{"metadata": map[string]any{"annotations": map[string]any{former: nil}}, "spec": map[string]any{"replicas": replicas}}
}

// switched is the change of the storage.
func (m *move) switched(replicas int32) map[string]any {
	return map[string]any{"spec": map[string]any{
		"replicas": replicas, "storage": map[string]any{"type": mdmv1alpha1.StoragePostgreSQL, "postgresql": m.storage()},
	}}
}

// switchOver changes the storage, if nobody has changed the server since it was stopped. An interruption comes too late for it: the copy is there, and would be
// worth nothing later.
func (m *move) switchOver(ctx context.Context) error {
	return m.within(context.WithoutCancel(ctx), func(ctx context.Context) error {
		if err := m.patch(ctx, m.switched(0)); err != nil {
			return fmt.Errorf("switching spec.storage: %w\nEmpty the database before you run this command again: the copy in it grows old", doing.Refusal(err))
		}
		if err := m.removeJob(ctx); err != nil {
			return m.say("The Job %s is done and could not be removed: %v", m.jobName(), err)
		}
		return nil
	})
}

// patch changes the MDMServer as it was last read. What changes besides in its status does not matter; what changes in its spec is somebody else's, and an error.
func (m *move) patch(ctx context.Context, change map[string]any, options ...client.PatchOption) error {
	for {
		s := m.server.DeepCopy()
		metadata := map[string]any{"uid": s.UID, "resourceVersion": s.ResourceVersion}
		if given, ok := change["metadata"].(map[string]any); ok {
			maps.Copy(metadata, given)
		}
		content, err := json.Marshal(map[string]any{"metadata": metadata, "spec": change["spec"]})
		if err != nil {
			return err
		}
		err = m.session.Patch(ctx, s, client.RawPatch(types.MergePatchType, content), append(options, client.FieldOwner(cli.FieldManager))...)
		if err == nil && len(options) == 0 {
			m.server = s
		}
		if !apierrors.IsConflict(err) {
			return err
		}
		known := m.server.Generation
		if err := m.find(ctx, m.server.Name); err != nil {
			return err
		}
		if m.server.Generation != known {
			return m.changed()
		}
	}
}

// changed is that somebody else has changed the spec while the server should stand still.
func (m *move) changed() error {
	return fmt.Errorf("somebody else has changed the spec of %s meanwhile: if a GitOps pipeline applies it, suspend that first", m.server.Name)
}

// within bounds what waits for nobody but the API server.
func (m *move) within(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, doing.Deadline)
	defer cancel()
	return do(ctx)
}
