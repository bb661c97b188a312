package serverconfig

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
)

// reserved are the first segments of the paths that the server has for itself.
var reserved = []string{".well-known", "ade", "api", "apple", "enroll", "enroll-page", "enrollmentserver", "healthz", "metrics", "readyz", "scep"}

// importPath is a path that stands in a URL as it is.
var importPath = regexp.MustCompile(`^/[-._~/a-zA-Z0-9]*$`)

// Reserved says whether the server has the path for itself, so that no import can have it.
func Reserved(p string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(p, "/"), "/")
	for _, own := range reserved {
		if strings.EqualFold(first, own) {
			return true
		}
	}
	return false
}

// CheckPath says why a path cannot be that of an import, or nil.
func CheckPath(p string) error {
	switch {
	case !importPath.MatchString(p):
		return fmt.Errorf("%q is no path such as /mdm", p)
	case p == "/":
		return errors.New("it cannot be /: the enrolment page is there")
	case path.Clean(p) != strings.TrimSuffix(p, "/"):
		return fmt.Errorf("%q has an empty segment or one of dots, which no device asks for", p)
	case Reserved(p):
		return fmt.Errorf("%s is a path of this server's own, so devices that use it cannot be imported", p)
	}
	return nil
}
