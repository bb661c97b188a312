// Command image wraps static binaries into a container image archive without a container engine:
//
//	go run ./hack/image --name docker.io/kubemdm/manager:dev --binary bin/manager --user 65532:65532 --entrypoint /manager --out manager.tar
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"

	"github.com/kubemdm/kubemdm/hack/image/archive"
)

func main() {
	var img archive.Image
	flag.StringVar(&img.Name, "name", "", "full `reference` of the image, such as docker.io/kubemdm/manager:dev")
	appendTo(&img.Binaries, "binary", "`path` of a static binary to place at the root of the image (repeatable)")
	appendTo(&img.Entrypoint, "entrypoint", "the command, then each of its `arguments` (repeatable)")
	flag.StringVar(&img.User, "user", "65532:65532", "numeric `uid:gid` to run as")
	flag.StringVar(&img.CACertificates, "ca-certificates", "", "`path` of a PEM bundle of trusted roots to include")
	flag.StringVar(&img.Architecture, "architecture", runtime.GOARCH, "GOARCH of the binaries")
	out := flag.String("out", "", "`path` of the archive to write")
	flag.Parse()

	if img.Name == "" || len(img.Binaries) == 0 || len(img.Entrypoint) == 0 || *out == "" {
		fmt.Fprintln(os.Stderr, "image: --name, --binary, --entrypoint and --out are required")
		flag.Usage()
		os.Exit(2)
	}
	if err := archive.WriteFile(*out, img); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func appendTo(list *[]string, name, usage string) {
	flag.Func(name, usage, func(value string) error {
		*list = append(*list, value)
		return nil
	})
}
