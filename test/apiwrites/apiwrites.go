// Package apiwrites counts what is written to an API server, as its own metrics have it.
package apiwrites

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/client-go/rest"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// Writes are requests that change objects, counted by verb and resource.
type Writes map[string]int

var (
	requestTotal = regexp.MustCompile(`^apiserver_request_total\{(.*)\} (\S+)$`)
	metricLabel  = regexp.MustCompile(`(\w+)="([^"]*)"`)
	// changing are the verbs of the API server's metrics that may write.
	changing = []string{"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"}
)

// Events is the resource of events, whoever they are about.
const Events = "events"

// Read returns what was written since the API server started to objects of our group, their subresources and events, whoever wrote it. A write that
// changes nothing counts, one that was refused does not.
func Read(ctx context.Context, config *rest.Config) (Writes, error) {
	hc, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	page, err := url.JoinPath(config.Host, "metrics")
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return nil, err
	}
	response, err := hc.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("reading the API server's metrics: %s", response.Status)
	}
	return parse(response.Body)
}

func parse(page io.Reader) (Writes, error) {
	counted := Writes{}
	lines := bufio.NewScanner(page)
	for lines.Scan() {
		if found := requestTotal.FindStringSubmatch(lines.Text()); found != nil {
			n, err := strconv.ParseFloat(found[2], 64)
			if err != nil {
				return nil, err
			}
			counted.add(found[1], int(n))
		}
	}
	return counted, lines.Err()
}

func (w Writes) add(labels string, n int) {
	of := map[string]string{}
	for _, label := range metricLabel.FindAllStringSubmatch(labels, -1) {
		of[label[1]] = label[2]
	}
	if !slices.Contains(changing, of["verb"]) || !strings.HasPrefix(of["code"], "2") || of["group"] != mdmv1alpha1.GroupVersion.Group && of["resource"] != Events {
		return
	}
	w[strings.TrimSuffix(of["verb"]+" "+of["resource"]+"/"+of["subresource"], "/")] += n
}

// Total counts all.
func (w Writes) Total() int {
	n := 0
	for _, count := range w {
		n += count
	}
	return n
}

// Since returns what was written after an earlier count.
func (w Writes) Since(before Writes) Writes {
	after := Writes{}
	for name, n := range w {
		if n > before[name] {
			after[name] = n - before[name]
		}
	}
	return after
}

// Touching is what was written to a resource and its subresources.
func (w Writes) Touching(resource string) Writes {
	found := Writes{}
	for name, n := range w {
		if strings.Contains(name+"/", " "+resource+"/") {
			found[name] = n
		}
	}
	return found
}

func (w Writes) String() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(w)) {
		all = append(all, fmt.Sprintf("%d %s", w[name], name))
	}
	return fmt.Sprintf("%d writes (%s)", w.Total(), strings.Join(all, ", "))
}
