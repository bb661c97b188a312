package migratestore

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// guide is the page that has the whole move.
const guide = "docs/guides/moving-to-postgresql.md"

// perMinute is how many devices are copied in a minute, told with a good margin.
const perMinute = 20000

// plan says what will happen, before anything does.
func (m *move) plan() error {
	p := look.NewPrinter(m.env)
	enrolled := ptr.Deref(m.server.Status.Enrolled, 0)
	p.Line("The MDMServer %s in the namespace %s moves from SQLite to PostgreSQL", m.server.Name, m.server.Namespace)
	p.Fact("Database", "as the Secret "+m.secret+" says")
	p.Fact("Its CA", m.authority())
	p.Fact("Devices", look.Count(enrolled, "enrolled device", "enrolled devices"))
	p.Fact("Replicas", fmt.Sprintf("%d now, %d afterwards", m.before, m.after()))
	p.Line("")
	p.Line("  1. The server stops. From here on devices are not served; they try again by themselves, and nothing is lost.")
	p.Line("  2. The Job %s copies the store in one transaction and compares the number of rows of every table.", m.jobName())
	p.Line("  3. spec.storage is switched, and the server starts.")
	p.Line("")
	p.Text("  ", fmt.Sprintf("Devices are not served for about %s. If anything fails before step 3, or you interrupt it, the server goes on with SQLite. The volume %s is only read, and stays.",
		look.Count(1+enrolled/perMinute, "minute", "minutes"), m.claim()))
	if appliers := m.appliers(); len(appliers) > 0 {
		p.Line("")
		p.Text("  ", fmt.Sprintf("! %s applies this MDMServer: suspend that until the change is in Git, or it starts the server again in the middle, which ends the move.",
			strings.Join(appliers, " and ")))
	}
	if m.dryRun {
		p.Line("")
		p.Line("Nothing is in the way. Nothing was done.")
	}
	return p.Err
}

// authority says where the CA of the database is.
func (m *move) authority() string {
	switch {
	case m.caSecret != "":
		return "Secret " + m.caSecret
	case m.caConfigMap != "":
		return "ConfigMap " + m.caConfigMap
	}
	return ""
}

// appliers are those who apply the MDMServer from somewhere else, as pipelines do.
func (m *move) appliers() []string {
	var names []string
	for _, f := range m.server.ManagedFields {
		if f.Operation == metav1.ManagedFieldsOperationApply && f.Subresource == "" && f.Manager != cli.FieldManager && !slices.Contains(names, f.Manager) {
			names = append(names, f.Manager)
		}
	}
	return names
}

// finished says what is left to do.
func (m *move) finished() error {
	p := look.NewPrinter(m.env)
	p.Line("%s is on PostgreSQL%s", m.server.Name, map[bool]string{true: ", and serves devices"}[m.after() > 0])
	p.Line("")
	p.Line("If the MDMServer is in Git, commit this before your pipeline runs again:")
	p.Line("")
	lines, err := m.manifest()
	if err != nil {
		return err
	}
	for _, line := range lines {
		p.Line("  %s", line)
	}
	p.Line("")
	p.Text("", fmt.Sprintf("The volume %s has the store as it was before the move. While it is there you can go back, without what happened since (%s says how). "+
		"Back up the database first of all, and delete the volume when you are sure:", m.claim(), guide))
	p.Line("  %s", m.command("delete persistentvolumeclaim "+m.claim()))
	return p.Err
}

// manifest is what has to be in Git.
func (m *move) manifest() ([]string, error) {
	content, err := yaml.Marshal(map[string]any{"spec": map[string]any{
		"replicas": m.after(),
		"storage":  map[string]any{"type": mdmv1alpha1.StoragePostgreSQL, "postgresql": m.storage()},
	}})
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSpace(string(content)), "\n"), nil
}
