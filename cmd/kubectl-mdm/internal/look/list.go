package look

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
)

const (
	// page is how many objects one answer of the API server holds.
	page = 500
	// Deadline is how long one answer of the API server may take.
	Deadline = 30 * time.Second
	// attempts is how often a list is begun again, since the API server forgot how to go on with it.
	attempts = 3
)

// All fills a list with all objects of its kind, page by page. In a terminal it shows how far a long one is; what names the objects there.
func All(ctx context.Context, e *cli.Env, s *cli.Session, list client.ObjectList, what string, options ...client.ListOption) error {
	for attempt := 1; ; attempt++ {
		err := pages(ctx, e, s, list, what, options)
		if !apierrors.IsResourceExpired(err) || attempt == attempts {
			return err
		}
	}
}

func pages(ctx context.Context, e *cli.Env, s *cli.Session, list client.ObjectList, what string, options []client.ListOption) error {
	progress := &Progress{Env: e}
	defer progress.End()
	var all []runtime.Object
	for next := ""; ; {
		one := list.DeepCopyObject().(client.ObjectList)
		if err := onePage(ctx, s, one, next, options); err != nil {
			return err
		}
		items, err := meta.ExtractList(one)
		if err != nil {
			return err
		}
		all = append(all, items...)
		next = one.GetContinue()
		if next == "" {
			list.SetResourceVersion(one.GetResourceVersion())
			return meta.SetList(list, all)
		}
		total := ""
		if left := one.GetRemainingItemCount(); left != nil {
			total = fmt.Sprintf(" of %d", int64(len(all))+*left)
		}
		progress.Say("Reading %s: %d%s", what, len(all), total)
	}
}

func onePage(ctx context.Context, s *cli.Session, list client.ObjectList, next string, options []client.ListOption) error {
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	return s.List(ctx, list, append([]client.ListOption{client.Limit(page), client.Continue(next)}, options...)...)
}

// Progress is a line on standard error of a terminal that is written over again and again. Elsewhere it says nothing.
type Progress struct {
	Env *cli.Env
	on  bool
}

// Say replaces the line. What cannot be written is no reason to stop.
func (p *Progress) Say(format string, args ...any) {
	if p.Env.Progress {
		p.on = true
		_, _ = fmt.Fprintf(p.Env.ErrOut, "\r\x1b[K"+format, args...)
	}
}

// End takes the line away.
func (p *Progress) End() {
	if p.on {
		p.on = false
		_, _ = fmt.Fprint(p.Env.ErrOut, "\r\x1b[K")
	}
}

// Reader reads several kinds, and goes on when a person may not read one of them.
type Reader struct {
	Env     *cli.Env
	Session *cli.Session
	// In is the namespace, or empty for all.
	In client.InNamespace
	// Missing says in a line each what could not be read, and why.
	Missing []string

	read    bool
	refusal error
}

// List fills a list, which stays empty if it may not be read. resource is the plural of its kind.
func (r *Reader) List(ctx context.Context, list client.ObjectList, resource string, options ...client.ListOption) error {
	err := All(ctx, r.Env, r.Session, list, resource, append([]client.ListOption{r.In}, options...)...)
	if apierrors.IsForbidden(err) {
		r.refusal = err
		r.Missing = append(r.Missing, fmt.Sprintf("%s are not shown: you lack the right to list %s.mdm.kubemdm.io %s", resource, resource, Where(string(r.In))))
		return nil
	}
	r.read = r.read || err == nil
	return err
}

// Refused is an error if nothing at all could be read.
func (r *Reader) Refused() error {
	if r.read {
		return nil
	}
	return r.refusal
}

// Tell writes what is missing to standard error.
func Tell(e *cli.Env, missing []string) error {
	for _, line := range missing {
		if _, err := fmt.Fprintf(e.ErrOut, "Note: %s\n", line); err != nil {
			return err
		}
	}
	return nil
}

// Where names a namespace, or all of them.
func Where(namespace string) string {
	if namespace == metav1.NamespaceAll {
		return "in all namespaces"
	}
	return "in the namespace " + namespace
}
