package look

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/yaml"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
)

// Output formats for programs, of verbs that show more than one object.
const (
	JSON = "json"
	YAML = "yaml"
)

// OutputFlag adds -o with json and yaml.
func OutputFlag(c *cobra.Command, output *string) {
	c.Flags().StringVarP(output, "output", "o", "", "Output format. One of: (json, yaml).")
	utilruntime.Must(c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]cobra.Completion{JSON, YAML}, cobra.ShellCompDirectiveNoFileComp)))
}

// CheckOutput returns an error if there is no such format.
func CheckOutput(output string) error {
	if output != "" && output != JSON && output != YAML {
		return fmt.Errorf("there is no output format %q; allowed formats are: json, yaml", output)
	}
	return nil
}

// Encode writes a value for programs.
func Encode(e *cli.Env, output string, value any) error {
	content, err := Marshal(value)
	if err == nil && output == YAML {
		content, err = yaml.JSONToYAML(content)
	}
	if err != nil {
		return err
	}
	_, err = e.Out.Write(content)
	return err
}

// Marshal is a value in JSON that people can read, too.
func Marshal(value any) ([]byte, error) {
	var content bytes.Buffer
	encoder := json.NewEncoder(&content)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(value)
	return content.Bytes(), err
}
