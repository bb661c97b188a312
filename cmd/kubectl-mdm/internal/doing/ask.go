package doing

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"k8s.io/cli-runtime/pkg/printers"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
)

// answerLimit bounds what a person types.
const answerLimit = 1024

// ErrDeclined is that a person did not agree: nothing was done.
var ErrDeclined = errors.New("not confirmed: nothing was done")

// Agree asks whether to go on; an empty answer is no.
func Agree(e *cli.Env, question string) error {
	answer, err := Ask(e, question+" [y/N] ")
	if err != nil {
		return err
	}
	switch strings.ToLower(answer) {
	case "y", "yes":
		return nil
	}
	return ErrDeclined
}

// Ask reads the line that a person answers.
func Ask(e *cli.Env, question string) (string, error) {
	if _, err := fmt.Fprint(e.ErrOut, printers.EscapeTerminal(question)); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(io.LimitReader(e.In, answerLimit)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the answer: %w", err)
	}
	if line == "" {
		return "", errors.New("nobody answered, nothing was done: without a terminal say --yes")
	}
	return strings.TrimSpace(line), nil
}
