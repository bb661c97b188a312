package main

import (
	"fmt"
	"slices"
	"strings"
)

// bar is what a case must reach: a bound of the ratio to the peer's figure, or of ours.
type bar struct{ ratio, ours *bound }

type bound struct {
	limit float64
	least bool
}

func atMost(limit float64) *bound { return &bound{limit: limit} }

func atLeast(limit float64) *bound { return &bound{limit: limit, least: true} }

func (b *bound) met(v float64) bool {
	if b.least {
		return v >= b.limit
	}
	return v <= b.limit
}

func (b *bound) String() string {
	if b.least {
		return fmt.Sprintf("at least %g", b.limit)
	}
	return fmt.Sprintf("at most %g", b.limit)
}

// result is a case with the figures of its runs.
type result struct {
	benchmark
	ours, peer []sample
}

// median is the middle value, or the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func values(samples []sample) []float64 {
	var all []float64
	for _, s := range samples {
		all = append(all, s.value)
	}
	return all
}

// figures are ours, the peer's and the ratio as they are printed.
func (r *result) figures() (ours, peer, ratio string) {
	ours, peer, ratio = figure(median(values(r.ours))), "-", "-"
	if len(r.peer) > 0 {
		peer, ratio = figure(median(values(r.peer))), fmt.Sprintf("%.2f", r.ratio())
	}
	return ours, peer, ratio
}

func (r *result) ratio() float64 { return median(values(r.ours)) / median(values(r.peer)) }

// figure has three digits, or all before the point.
func figure(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func (r *result) line() string {
	ours, peer, ratio := r.figures()
	return fmt.Sprintf("bench %s ours=%s peer=%s ratio=%s unit=%s", r.name, ours, peer, ratio, r.unit)
}

// judged are the bar and whether it is met.
func (r *result) judged() (limit, met string) {
	says := map[bool]string{true: "yes", false: "**no**"}
	switch {
	case r.bar.ratio != nil && len(r.peer) > 0:
		return "ratio " + r.bar.ratio.String(), says[r.bar.ratio.met(r.ratio())]
	case r.bar.ours != nil:
		return r.bar.ours.String(), says[r.bar.ours.met(median(values(r.ours)))]
	}
	return "-", "-"
}

// client is the load's own CPU per request in our runs and in the peer's.
func (r *result) client() string {
	var sides []string
	for _, samples := range [][]sample{r.ours, r.peer} {
		var used []float64
		for _, s := range samples {
			if s.client > 0 {
				used = append(used, s.client)
			}
		}
		if len(used) > 0 {
			sides = append(sides, figure(median(used)))
		}
	}
	if len(sides) == 0 {
		return "-"
	}
	return strings.Join(sides, " / ")
}
