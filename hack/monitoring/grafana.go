package main

// schemaVersion is that of Grafana 10.4, which newer ones take as well.
const schemaVersion = 39

// kinds of panels.
const (
	stat       = "stat"
	timeseries = "timeseries"
	table      = "table"
	bargauge   = "bargauge"
)

// dashboard is one page of panels.
type dashboard struct {
	name, title, description string
	// variables are the names of the label values that people choose by, beside the data source.
	variables []variable
	panels    []panel
}

// variable offers the values of a label of a metric.
type variable struct{ name, label, metric, of string }

// panel is one picture. Widths of a row add up to 24.
type panel struct {
	kind, title, description, unit string
	width, height                  int
	queries                        []query
	// steps are thresholds, the colour of which begins at its value; the first begins everywhere.
	steps []step
	// perPercent makes the scale end at 1.
	perPercent bool
}

type query struct{ expr, legend string }

type step struct {
	color string
	value float64
}

type object map[string]any

var source = object{"type": "prometheus", "uid": "${datasource}"}

// model is the dashboard as Grafana imports it.
func (d dashboard) model() object {
	variables := []object{{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0}}
	for _, v := range d.variables {
		variables = append(variables, object{
			"name": v.name, "label": v.label, "type": "query", "datasource": source, "query": "label_values(" + v.metric + ", " + v.of + ")",
			"refresh": 2, "sort": 1, "multi": true, "includeAll": true, "allValue": ".*", "current": object{"text": "All", "value": "$__all"},
		})
	}
	var panels []object
	x, y, rowHeight := 0, 0, 0
	for i, p := range d.panels {
		if x+p.width > 24 {
			x, y, rowHeight = 0, y+rowHeight, 0
		}
		panels = append(panels, p.model(i+1, x, y))
		x, rowHeight = x+p.width, max(rowHeight, p.height)
	}
	return object{
		"uid": "kubemdm-" + d.name, "title": d.title, "description": d.description, "tags": []string{"kubemdm"}, "schemaVersion": schemaVersion, "version": 1,
		"editable": true, "graphTooltip": 1, "refresh": "1m", "time": object{"from": "now-24h", "to": "now"}, "timezone": "browser",
		"templating": object{"list": variables}, "annotations": object{"list": []object{}}, "panels": panels,
	}
}

func (p panel) model(id, x, y int) object {
	var targets []object
	for i, q := range p.queries {
		target := object{"refId": string(rune('A' + i)), "datasource": source, "expr": q.expr, "legendFormat": q.legend}
		if p.kind != timeseries {
			target["instant"] = true
		}
		if p.kind == table {
			target["format"] = "table"
		}
		targets = append(targets, target)
	}
	return object{
		"id": id, "type": p.kind, "title": p.title, "description": p.description, "datasource": source, "targets": targets,
		"gridPos":     object{"x": x, "y": y, "w": p.width, "h": p.height},
		"fieldConfig": object{"defaults": p.defaults(), "overrides": []object{}}, "options": p.options(), "transformations": p.transformations(),
	}
}

func (p panel) defaults() object {
	d := object{"unit": p.unit}
	if p.kind != table {
		d["min"] = 0
	}
	if p.perPercent {
		d["max"] = 1
	}
	if len(p.steps) > 0 {
		steps := []object{}
		for i, s := range p.steps {
			value := any(s.value)
			if i == 0 {
				value = nil
			}
			steps = append(steps, object{"color": s.color, "value": value})
		}
		d["color"], d["thresholds"] = object{"mode": "thresholds"}, object{"mode": "absolute", "steps": steps}
	}
	return d
}

func (p panel) options() object {
	switch p.kind {
	case timeseries:
		return object{"legend": object{"displayMode": "list", "placement": "bottom"}, "tooltip": object{"mode": "multi", "sort": "desc"}}
	case table:
		return object{"cellHeight": "sm", "showHeader": true}
	}
	return object{"reduceOptions": object{"calcs": []string{"lastNotNull"}}, "orientation": "horizontal"}
}

// transformations take the column of the time off tables.
func (p panel) transformations() []object {
	if p.kind != table {
		return []object{}
	}
	return []object{{"id": "organize", "options": object{"excludeByName": object{"Time": true}, "renameByName": object{"Value": p.title}}}}
}
