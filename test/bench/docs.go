package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"text/template"
	"time"
)

// page is docs/benchmarks.md.
var page = template.Must(template.New("").Parse(`# Benchmarks

Written by ` + "`make bench`" + `. Figures are medians of {{.Runs}} runs; our runs and the peer's alternate. They are comparable within one run on one machine only.

| | |
|---|---|
| when | {{.When}} |
| machine | {{.Machine}} |
| system | {{.System}} |
| KubeMDM | {{.Commit}} |
| peers | NanoMDM {{.NanoMDM}} with its PostgreSQL store, scepserver {{.SCEP}}, built with {{.Go}} as ours is |
| database | {{.PostgreSQL}}, a cluster for each side, over a socket, with the settings that it comes with (fsync on); ours may make {{.Connections}} connections |
| command | ` + "`{{.Command}}`" + ` |

| case | ours | peer | ratio | unit | bar | met | client |
|---|---|---|---|---|---|---|---|
{{range .Rows}}| ` + "`{{.Name}}`" + ` | {{.Ours}} | {{.Peer}} | {{.Ratio}} | {{.Unit}} | {{.Bar}} | {{.Met}} | {{.Client}} |
{{end}}
"client" is the CPU that the load itself used for each request, in ms, in our runs and in the peer's: it is no part of the figures.

{{range .Rows}}- ` + "`{{.Name}}`" + `: {{.What}}.
{{end}}
## How it is measured

- CPU is user and system time of the server and of all processes of its PostgreSQL, taken after the server has stopped and PostgreSQL has written a checkpoint: what they put off
  counts. The load is a process of its own.
- Both sides speak HTTP/1.1 over TLS 1.3 on connections that stay open. NanoMDM and scepserver have no TLS of their own, so ` + "`test/bench/cmd`" + ` joins their packages as their
  commands do, on a listener with TLS. NanoMDM's own command, in clear, took {{.Plain}} ms for an idle check-in.
- {{.Devices}} devices take turns. They enrolled for real, before PostgreSQL was told to wait for the disk; their idle messages were signed before. Commands and enrolments are signed while they are measured, by the load.
- NanoMDM keeps two idle connections to its database, so more than two requests at a time make it open new ones. Idle check-ins are measured over two connections for its sake, its
  throughput as it is.
- Both CAs have RSA keys of 2048 bits (scepserver's default is 4096), both servers log as they do by default, neither pushes.
- Of a Profile NanoMDM sends the same bytes to all; our server renders it for each device.
`))

type row struct{ Name, Ours, Peer, Ratio, Unit, Bar, Met, Client, What string }

// write writes the page.
func (o *options) write(w *world, results []*result, plain string) error {
	var rows []row
	for _, r := range results {
		ours, peer, ratio := r.figures()
		bar, met := r.judged()
		rows = append(rows, row{Name: r.name, Ours: ours, Peer: peer, Ratio: ratio, Unit: r.unit, Bar: bar, Met: met, Client: r.client(), What: r.what})
	}
	var b bytes.Buffer
	err := page.Execute(&b, map[string]any{
		"Runs": o.runs, "When": time.Now().UTC().Format(time.DateOnly), "Machine": machine(), "System": output("uname", "-srm"),
		"Commit": output("git", "describe", "--tags", "--always", "--dirty"), "NanoMDM": module("github.com/micromdm/nanomdm"), "SCEP": module("github.com/micromdm/scep/v2"),
		"Go": runtime.Version(), "PostgreSQL": w.peer().db.version(), "Connections": connections, "Command": "cd test/bench && go run . " + strings.Join(os.Args[1:], " "), "Rows": rows, "Devices": fleetSize, "Plain": plain,
	})
	if err != nil {
		return err
	}
	return os.WriteFile(o.docs, b.Bytes(), 0o644)
}

// module is the version of a peer.
func module(path string) string { return output("go", "list", "-m", "-f", "{{.Version}}", path) }

// output is what a program says, or why it says nothing.
func output(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(out))
}

// machine is its processors and memory.
func machine() string {
	return fmt.Sprintf("%d × %s, %s", runtime.NumCPU(), field("/proc/cpuinfo", "model name"), field("/proc/meminfo", "MemTotal"))
}

// field is the value of the first line of a file that has this name.
func field(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
