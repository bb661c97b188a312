package chart

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sigsyaml "sigs.k8s.io/yaml"
)

// Each refusal names the value that is wrong.
func TestValuesAreChecked(t *testing.T) {
	for name, c := range map[string]struct{ set, complaint string }{
		"a misspelt value":            {"webhooks.enabled=false", "additional properties 'webhooks' not allowed"},
		"a misspelt part":             {"live.enable=false", "at '/live': additional properties 'enable' not allowed"},
		"a misspelt part, deep":       {"monitoring.alerts.label.a=b", "at '/monitoring/alerts': additional properties 'label' not allowed"},
		"a part of an image":          {"serverImage.pullPolicy=Always", "at '/serverImage': additional properties 'pullPolicy' not allowed"},
		"a malformed digest":          {"image.digest=latest", "at '/image/digest'"},
		"a digest in the repository":  {"image.repository=example.com/manager@sha256:00", "at '/image/repository'"},
		"a malformed tag":             {"image.tag=:v1", "at '/image/tag'"},
		"a registry with a scheme":    {"imageRegistry=https://example.com", "at '/imageRegistry'"},
		"a parent's registry":         {"global.imageRegistry=https://example.com", "at '/global/imageRegistry'"},
		"a wrong policy":              {"image.pullPolicy=Sometimes", "at '/image/pullPolicy'"},
		"no repository":               {"image.repository=", "at '/image/repository'"},
		"too many replicas":           {"replicas=50", "at '/replicas'"},
		"a word for a number":         {"replicas=two", "at '/replicas'"},
		"a word for a switch":         {"webhook.enabled=maybe", "at '/webhook/enabled'"},
		"a malformed namespace":       {"namespaces={fleet,Fleet}", "at '/namespaces/1'"},
		"a namespace twice":           {"namespaces={fleet,fleet}", "at '/namespaces'"},
		"one namespace, not a list":   {"namespaces=fleet", "at '/namespaces'"},
		"a user, no role":             {"kms.aws.roleARN=arn:aws:iam::123456789012:user/me", "at '/kms/aws/roleARN'"},
		"a malformed interval":        {"monitoring.podMonitor.interval=often", "at '/monitoring/podMonitor/interval'"},
		"a pull secret without name":  {"imagePullSecrets[0].secret=registry", "at '/imagePullSecrets/0'"},
		"a misspelt affinity":         {"affinity.antiAffinity.a=b", "at '/affinity'"},
		"a misspelt toleration":       {"tolerations[0].operators=Exists", "at '/tolerations/0'"},
		"a constraint without a key":  {"topologySpreadConstraints[0].maxSkew=1", "at '/topologySpreadConstraints/0'"},
		"a label that is no text":     {"podLabels.a=1", "at '/podLabels/a'"},
		"resources outside of a kind": {"resources.cpu=1", "at '/resources'"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := template(t, "--set="+c.set)
			if err == nil || !strings.Contains(err.Error(), c.complaint) {
				t.Errorf("%s was answered: %v", c.set, err)
			}
		})
	}
}

// open are the objects of the schema that may have any property, by path.
var open = map[string]string{
	"global":                   "charts above share with each other what they like",
	"affinity.nodeAffinity":    "checked by the API server",
	"affinity.podAffinity":     "checked by the API server",
	"affinity.podAntiAffinity": "checked by the API server",
}

// A schema that lets misspelt values pass would let people believe in them.
func TestTheSchemaIsStrictAndSpeaks(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(root, chart, "values.schema.json"))
	must(t, err)
	s := schema{}
	must(t, json.Unmarshal(raw, &s))
	raw, err = os.ReadFile(filepath.Join(root, chart, "values.yaml"))
	must(t, err)
	values := map[string]any{}
	must(t, sigsyaml.Unmarshal(raw, &values))
	s.check(t, s.Defs, "")
	s.covers(t, s.Defs, "", values)
}

// schema is the part of JSON Schema that the chart uses.
type schema struct {
	Ref         string             `json:"$ref"`
	Type        any                `json:"type"`
	Description string             `json:"description"`
	Properties  map[string]*schema `json:"properties"`
	Additional  any                `json:"additionalProperties"`
	Items       *schema            `json:"items"`
	Defs        map[string]*schema `json:"$defs"`
}

// resolved follows a reference. A description beside it is the one that counts.
func (s *schema) resolved(defs map[string]*schema) schema {
	if s.Ref == "" {
		return *s
	}
	target := *defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
	if s.Description != "" {
		target.Description = s.Description
	}
	return target
}

// check finds objects that let anything pass, and properties that nobody has described.
func (s *schema) check(t *testing.T, defs map[string]*schema, path string) {
	t.Helper()
	if _, allowed := open[path]; s.Type == "object" && s.Additional == nil && !allowed {
		t.Errorf("%q takes any property", path)
	}
	for name, property := range s.Properties {
		p := property.resolved(defs)
		below := strings.TrimPrefix(path+"."+name, ".")
		if p.Description == "" {
			t.Errorf("%s has no description", below)
		}
		p.check(t, defs, below)
	}
	if s.Items != nil {
		items := s.Items.resolved(defs)
		for name, property := range items.Properties { // what a pod has: one level only
			if property.Description == "" {
				t.Errorf("%s[].%s has no description", path, name)
			}
		}
		if items.Type == "object" && items.Additional == nil {
			t.Errorf("%s[] takes any property", path)
		}
	}
}

// covers finds properties without a default in values.yaml, where helm-docs would not see them.
func (s *schema) covers(t *testing.T, defs map[string]*schema, path string, values map[string]any) {
	t.Helper()
	for name, property := range s.Properties {
		below := strings.TrimPrefix(path+"."+name, ".")
		value, there := values[name]
		if !there && name != "global" {
			t.Errorf("values.yaml lacks %s", below)
		}
		p := property.resolved(defs)
		if nested, ok := value.(map[string]any); ok && len(nested) > 0 && len(p.Properties) > 0 {
			p.covers(t, defs, below, nested)
		}
	}
}
