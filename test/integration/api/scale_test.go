package api_test

import (
	"strings"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// kubectl scale stops and starts a server, and keeps to the same rules as everybody.
func TestScale(t *testing.T) {
	server := cases{Kind: "MDMServer", Base: object{"host": "mdm.example.com", "organization": "Example", "apple": object{}}}.object()
	if err := api.Create(t.Context(), server); err != nil {
		t.Fatal(err)
	}
	defer remove(t, server)

	scaleTo := func(replicas int32) error {
		scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: replicas}}
		return api.SubResource("scale").Update(t.Context(), server, client.WithSubResourceBody(scale))
	}
	if err := scaleTo(0); err != nil {
		t.Errorf("stopping: %v", err)
	}
	if err := scaleTo(1); err != nil {
		t.Errorf("starting: %v", err)
	}
	if err := scaleTo(2); err == nil || !strings.Contains(err.Error(), "SQLite") {
		t.Errorf("a second replica over SQLite: %v", err)
	}
}
