package mdmserver_test

import (
	"testing"

	"github.com/kubemdm/kubemdm/test/cputime"
)

func TestMain(m *testing.M) { cputime.Main(m) }
