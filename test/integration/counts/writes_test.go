package counts_test

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// writes are requests that change objects, counted by verb and resource.
type writes map[string]int

var (
	requestTotal = regexp.MustCompile(`^apiserver_request_total\{(.*)\} (\S+)$`)
	metricLabel  = regexp.MustCompile(`(\w+)="([^"]*)"`)
	// changing are the verbs of the API server's metrics that may write.
	changing = []string{"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"}
)

// written returns what was written since the API server started to objects of our group, their subresources and events, whoever wrote it, as the
// API server's own metrics have it. A write that changes nothing counts, one that was refused does not.
func (w *world) written() writes {
	w.Helper()
	hc, err := rest.HTTPClientFor(config)
	w.must(err)
	page, err := url.JoinPath(config.Host, "metrics")
	w.must(err)
	request, err := http.NewRequestWithContext(w.Context(), http.MethodGet, page, nil)
	w.must(err)
	response, err := hc.Do(request)
	w.must(err)
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		w.Fatalf("reading the API server's metrics: %s", response.Status)
	}
	counted := writes{}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if found := requestTotal.FindStringSubmatch(lines.Text()); found != nil {
			n, err := strconv.ParseFloat(found[2], 64)
			w.must(err)
			counted.add(found[1], int(n))
		}
	}
	w.must(lines.Err())
	return counted
}

func (c writes) add(labels string, n int) {
	of := map[string]string{}
	for _, label := range metricLabel.FindAllStringSubmatch(labels, -1) {
		of[label[1]] = label[2]
	}
	if !slices.Contains(changing, of["verb"]) || !strings.HasPrefix(of["code"], "2") || of["group"] != mdmv1alpha1.GroupVersion.Group && of["resource"] != "events" {
		return
	}
	c[strings.TrimSuffix(of["verb"]+" "+of["resource"]+"/"+of["subresource"], "/")] += n
}

func (c writes) total() int {
	n := 0
	for _, count := range c {
		n += count
	}
	return n
}

// since returns what was written after an earlier count.
func (c writes) since(before writes) writes {
	after := writes{}
	for name, n := range c {
		if n > before[name] {
			after[name] = n - before[name]
		}
	}
	return after
}

func (c writes) String() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(c)) {
		all = append(all, fmt.Sprintf("%d %s", c[name], name))
	}
	return fmt.Sprintf("%d writes (%s)", c.total(), strings.Join(all, ", "))
}

// quiet is for how many seconds nothing must have been written until the operator counts as at rest: longer than it gathers events of any kind.
const quiet = 5

// settled waits until nothing is written any more, and returns what was.
func (w *world) settled() writes {
	w.Helper()
	last, still := w.written(), 0
	err := wait.PollUntilContextTimeout(w.Context(), time.Second, patience, false, func(context.Context) (bool, error) {
		now := w.written()
		if still++; now.total() != last.total() {
			last, still = now, 0
		}
		return still == quiet, nil
	})
	if err != nil {
		w.Fatalf("something is written again and again: %v", err)
	}
	return last
}
