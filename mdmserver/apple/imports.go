package apple

import (
	"fmt"
	"mime"
	"net/http"
	"strings"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// typeCheckin is the media type of check-ins, by which a path that serves both tells them from answers to commands.
const typeCheckin = "application/x-apple-aspen-mdm-checkin"

// importPath is what a path of an import serves.
type importPath struct{ checkin, command bool }

// importPaths lists the paths of all imports, each with what it serves: two imports may have a path in common, and one may use one path for both.
func importPaths(imports []serverconfig.Import) (map[string]importPath, error) {
	paths := map[string]importPath{}
	for _, i := range imports {
		for _, p := range []string{i.ServerPath, i.CheckInPath} {
			if err := serverconfig.CheckPath(p); err != nil {
				return nil, fmt.Errorf("the import %s: %w", i.Name, err)
			}
			serves := paths[p]
			serves.command = serves.command || p == i.ServerPath
			serves.checkin = serves.checkin || p == i.CheckInPath
			paths[p] = serves
		}
	}
	return paths, nil
}

// serveImports adds the paths of the servers from which devices were imported. Devices PUT their messages; pages are read by other methods.
func (a *Apple) serveImports(mux *http.ServeMux, checkin, command http.Handler) {
	for p, serves := range a.imports {
		handler := command
		switch {
		case serves.checkin && serves.command:
			handler = byMessage(checkin, command)
		case serves.checkin:
			handler = checkin
		}
		if strings.HasSuffix(p, "/") {
			p += "{$}" // it, and nothing below it
		}
		mux.Handle(http.MethodPut+" "+p, handler)
		mux.Handle(http.MethodPost+" "+p, handler)
	}
}

// byMessage tells check-ins from answers to commands.
func byMessage(checkin, command http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind == typeCheckin {
			checkin.ServeHTTP(w, r)
			return
		}
		command.ServeHTTP(w, r)
	})
}
