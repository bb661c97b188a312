package main

import (
	"strings"
	"testing"
)

func TestTally(t *testing.T) {
	for _, tc := range []struct {
		name, events, want string
	}{
		{"nothing ran", ``, "0 passed, 0 failed"},
		{"a passed test counts once, its package does not", `
			{"Action":"run","Package":"p","Test":"TestA"}
			{"Action":"output","Package":"p","Test":"TestA","Output":"--- FAIL"}
			{"Action":"pass","Package":"p","Test":"TestA"}
			{"Action":"pass","Package":"p"}`, "1 passed, 0 failed"},
		{"a failed test counts once, its package does not", `
			{"Action":"run","Package":"p","Test":"TestA"}
			{"Action":"fail","Package":"p","Test":"TestA"}
			{"Action":"fail","Package":"p"}`, "0 passed, 1 failed"},
		{"subtests count", `
			{"Action":"run","Package":"p","Test":"TestA"}
			{"Action":"run","Package":"p","Test":"TestA/one"}
			{"Action":"pass","Package":"p","Test":"TestA/one"}
			{"Action":"pass","Package":"p","Test":"TestA"}`, "2 passed, 0 failed"},
		{"a package that does not build", `
			{"Action":"build-fail","ImportPath":"p"}
			{"Action":"start","Package":"p"}
			{"Action":"fail","Package":"p","FailedBuild":"p"}`, "0 passed, 1 failed"},
		{"a test that never ended", `
			{"Action":"run","Package":"p","Test":"TestA"}
			{"Action":"pass","Package":"p","Test":"TestA"}
			{"Action":"run","Package":"p","Test":"TestB"}`, "1 passed, 1 failed"},
		{"a skipped test is neither", `
			{"Action":"run","Package":"p","Test":"TestA"}
			{"Action":"skip","Package":"p","Test":"TestA"}
			{"Action":"skip","Package":"q"}`, "0 passed, 0 failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got tally
			if err := got.add(strings.NewReader(tc.events)); err != nil {
				t.Fatal(err)
			}
			if got.String() != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestTallyRefusesTornOutput(t *testing.T) {
	var got tally
	if err := got.add(strings.NewReader(`{"Action":"pa`)); err == nil {
		t.Error("half an event was accepted")
	}
}
