package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPlanVolumes(t *testing.T) {
	for _, test := range []struct {
		name    string
		phases  []string // of local-0, local-1 ...
		count   int
		recycle []string
		create  []string
	}{
		{name: "first time", count: 2, create: []string{"local-0", "local-1"}},
		{name: "enough", phases: []string{"Available", "Available"}, count: 2},
		{name: "bound ones are not free", phases: []string{"Bound", "Available"}, count: 2, create: []string{"local-2"}},
		{name: "released ones come first", phases: []string{"Released", "Bound"}, count: 1, recycle: []string{"local-0"}},
		{name: "all released ones", phases: []string{"Released", "Released"}, count: 1, recycle: []string{"local-0", "local-1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var volumes []volume
			for i, phase := range test.phases {
				v := volume{}
				v.Metadata.Name = []string{"local-0", "local-1", "local-2"}[i]
				v.Status.Phase = phase
				volumes = append(volumes, v)
			}
			recycle, create := planVolumes(volumes, test.count)
			var recycled []string
			for _, v := range recycle {
				recycled = append(recycled, v.Metadata.Name)
			}
			if !slices.Equal(recycled, test.recycle) || !slices.Equal(create, test.create) {
				t.Errorf("recycles %q and creates %q, want %q and %q", recycled, create, test.recycle, test.create)
			}
		})
	}
}

func TestOnlyVolumeFoldersAreEmptied(t *testing.T) {
	c := &cluster{dir: t.TempDir()}
	kept := c.path("etcd", "data")
	writeFile(t, kept, "")
	for _, path := range []string{c.path("etcd"), c.path("volumes"), c.dir, "/", c.path("volumes/..")} {
		if err := c.emptyVolumeFolder(path); err == nil {
			t.Errorf("%s was emptied", path)
		}
	}
	if _, err := os.Stat(kept); err != nil {
		t.Fatal(err)
	}
	secret := c.path("volumes", "local-0", "deep", "secret")
	writeFile(t, secret, "")
	if err := c.emptyVolumeFolder(c.path("volumes", "local-0")); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(filepath.Join(c.dir, "volumes", "local-0")); err != nil || len(entries) > 0 {
		t.Errorf("%v %v, want an empty folder", entries, err)
	}
}
