package apns

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// steps are the conditions in the order of the flow, in words.
var steps = []struct{ condition, words string }{
	{mdmv1alpha1.APNSCertificateKeyReady, "Private key"},
	{mdmv1alpha1.APNSCertificateCSRReady, "Certificate request"},
	{mdmv1alpha1.APNSCertificateVendorSigned, "Signed by an MDM vendor"},
	{mdmv1alpha1.APNSCertificateUploaded, "Uploaded at Apple"},
	{mdmv1alpha1.APNSCertificateIssued, "Issued by Apple"},
	{mdmv1alpha1.APNSCertificateTopicUnchanged, "Topic that devices know"},
	{mdmv1alpha1.APNSCertificateNotExpiring, "Enough time left"},
	{mdmv1alpha1.APNSCertificatePushAccepted, "Pushes accepted by Apple"},
}

// timeline writes how far a certificate has come. all adds what support asks for.
func (p *printer) timeline(c *mdmv1alpha1.APNSCertificate, u users, all bool) {
	p.Line("APNSCertificate %s in the namespace %s: %s", c.Name, c.Namespace, summary(c))
	if err := paused(c); err != nil {
		p.Text("", err.Error())
	} else if !observed(c, c.Annotations[mdmv1alpha1.AnnotationRequestedAt]) {
		p.Text("", "The operator has not looked at the newest change yet.")
	}
	p.Line("")
	for _, s := range steps {
		p.step(meta.FindStatusCondition(c.Status.Conditions, s.condition), s.words, all)
	}
	p.Line("")
	p.facts(c, all)
	p.servers(c, u)
	p.Line("")
	p.Line("Next step")
	if c.Status.NextStep == "" {
		p.Line("  none")
		return
	}
	p.Text("  ", c.Status.NextStep)
}

// summary says in a word or two how things are.
func summary(c *mdmv1alpha1.APNSCertificate) string {
	ready := meta.FindStatusCondition(c.Status.Conditions, mdmv1alpha1.ConditionReady)
	switch {
	case ready == nil:
		return "not observed yet"
	case ready.Status == metav1.ConditionTrue:
		return "ready"
	case meta.IsStatusConditionTrue(c.Status.Conditions, mdmv1alpha1.ConditionStalled):
		return "stalled (" + ready.Reason + ")"
	}
	return "not ready (" + ready.Reason + ")"
}

func (p *printer) step(condition *metav1.Condition, words string, all bool) {
	mark := p.Mark(stateOf(condition))
	if condition == nil {
		p.Line("  %s %-26s not observed yet", mark, words)
		return
	}
	since := p.Since(condition.LastTransitionTime.Time)
	if all {
		since += ", " + condition.Type + "=" + string(condition.Status) + " " + condition.Reason
	}
	p.Line("  %s %-26s since %s", mark, words, since)
	p.Text("    ", condition.Message)
}
