package page_test

import (
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/test/page"
)

func TestCommandsOfABlock(t *testing.T) {
	text := "$ kubectl get a   # why\nNAME  READY\n$ kubectl get b \\\n    --output=wide\n$ cat > f <<'END'\nx\nEND\nfoo\n$ a '{\n}'\n"
	want := []string{"kubectl get a   # why", "kubectl get b \\\n    --output=wide", "cat > f <<'END'\nx\nEND", "a '{\n}'"}
	got := page.Commands(text)
	if strings.Join(got, "§") != strings.Join(want, "§") {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestBlocksOfAList(t *testing.T) {
	got := page.Blocks("1. Do:\n\n   ```yaml\n   a:\n     b: 1\n   ```\n\n```console\n$ x\n```\n")
	if len(got) != 2 || got[0] != (page.Block{Language: "yaml", Text: "a:\n  b: 1\n"}) || got[1] != (page.Block{Language: "console", Text: "$ x\n"}) {
		t.Errorf("%q", got)
	}
}
