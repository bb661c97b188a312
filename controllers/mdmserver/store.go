package mdmserver

import (
	"context"
	"fmt"
	"slices"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
)

// storeReasons are the reasons of a server that ask for something else of people than a look at the database. What passes by itself (a lost connection, a
// failover) is a StoreUnavailable, so that not each of its moments is an event, and so is what a newer server says.
var storeReasons = []string{
	mdmv1alpha1.MDMServerStorageFull, mdmv1alpha1.MDMServerNewerSchema, mdmv1alpha1.MDMServerReadOnly, mdmv1alpha1.MDMServerDatabaseIsStandby,
	mdmv1alpha1.MDMServerDatabaseCredentialsInvalid, mdmv1alpha1.MDMServerDatabaseLoginRefused, mdmv1alpha1.MDMServerDatabaseTLSFailed,
	mdmv1alpha1.MDMServerDatabaseCertificateRefused, mdmv1alpha1.MDMServerDatabaseNotFound, mdmv1alpha1.MDMServerDatabasePrivilegesMissing,
	mdmv1alpha1.MDMServerDatabaseUnsuitable, mdmv1alpha1.MDMServerDatabaseOfAnotherServer, mdmv1alpha1.MDMServerDatabaseDamaged,
	mdmv1alpha1.MDMServerTooManyConnections,
}

// store says whether the replicas can use their store. It comes last: a Secret that is missing keeps nobody from looking at what runs.
func (r *Reconciler) store(_ context.Context, s *scope, report *loop.Report) error {
	switch {
	case s.wrong != nil:
		report.Again(recheck)
		return loop.Stall(s.wrong.reason, "%s", s.wrong.message)
	case s.connecting:
		report.Keep()
	case *s.server.Spec.Replicas == 0:
		report.Unknown(mdmv1alpha1.MDMServerStopped, "spec.replicas is 0, so nobody uses the store")
	case s.answers == nil:
		report.Unknown(mdmv1alpha1.ReasonServerUnreachable, "no server can be asked; %d of %d pods are ready", *s.server.Status.ReadyReplicas, *s.server.Spec.Replicas)
	case s.answers.Usable < s.answers.Answered:
		problem := s.answers.Info.Store
		reason, of := mdmv1alpha1.MDMServerStoreUnavailable, ""
		if slices.Contains(storeReasons, problem.Reason) {
			reason = problem.Reason
		}
		if s.answers.Usable > 0 {
			of = fmt.Sprintf("%d of %d replicas cannot use the store: ", s.answers.Answered-s.answers.Usable, s.answers.Answered)
		}
		report.False(reason, "%s%s", of, problem.Message)
	}
	return nil
}
