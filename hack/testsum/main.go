// Command testsum adds up the results of several test runs: testsum FILE... reads the output of go test -json from each file and ends with
// one line "N passed, N failed". It exits 1 when a test failed, or when there is no result at all.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	var total tally
	for _, path := range os.Args[1:] {
		if err := total.addFile(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	fmt.Println(total)
	if total.failed > 0 || total.passed == 0 {
		os.Exit(1)
	}
}

// tally counts tests and subtests.
type tally struct{ passed, failed int }

func (t tally) String() string { return fmt.Sprintf("%d passed, %d failed", t.passed, t.failed) }

func (t *tally) addFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := t.add(f); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

// test names a test, or with an empty Test its whole package.
type test struct{ Package, Test string }

// add counts one run. A test that was started and never ended has failed. A package that failed though none of its tests did
// (it does not build, or its process died) counts as one failed test.
func (t *tally) add(r io.Reader) error {
	outcomes, err := decode(r)
	if err != nil {
		return err
	}
	failed := map[string]int{} // by package
	for test, action := range outcomes {
		switch {
		case test.Test == "":
		case action == "pass":
			t.passed++
		case action != "skip":
			failed[test.Package]++
		}
	}
	for test, action := range outcomes {
		if test.Test == "" && action == "fail" {
			failed[test.Package] = max(failed[test.Package], 1)
		}
	}
	for _, n := range failed {
		t.failed += n
	}
	return nil
}

// decode returns the last action of each test: run, pass, fail or skip (go doc test2json).
func decode(r io.Reader) (map[test]string, error) {
	outcomes := map[test]string{}
	for dec := json.NewDecoder(r); ; {
		var event struct {
			test
			Action string
		}
		err := dec.Decode(&event)
		if errors.Is(err, io.EOF) {
			return outcomes, nil
		}
		if err != nil {
			return nil, err
		}
		switch event.Action {
		case "run", "pass", "fail", "skip":
			outcomes[event.test] = event.Action
		}
	}
}
