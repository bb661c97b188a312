package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	storageClass   = "local"
	defaultVolumes = 8
	volumeCapacity = "10Gi" // of the disk's free space; nothing enforces it
)

// volume is the part of a PersistentVolume that matters here.
type volume struct {
	Metadata struct{ Name string }
	Spec     struct {
		StorageClassName string
		Local            struct{ Path string }
	}
	Status struct{ Phase string }
}

// volumes lists the local volumes.
func (c *cluster) volumes(ctx context.Context) ([]volume, error) {
	var list struct{ Items []volume }
	err := c.get(ctx, &list, "persistentvolumes")
	return slices.DeleteFunc(list.Items, func(v volume) bool { return v.Spec.StorageClassName != storageClass }), err
}

func inPhase(volumes []volume, phase string) []volume {
	return slices.DeleteFunc(slices.Clone(volumes), func(v volume) bool { return v.Status.Phase != phase })
}

// planVolumes returns which volumes to recycle (all released ones) and the names of those to make so that count are free.
func planVolumes(volumes []volume, count int) (recycle []volume, create []string) {
	recycle = inPhase(volumes, "Released")
	free := len(recycle) + len(inPhase(volumes, "Available"))
	for i := 0; free+len(create) < count; i++ {
		name := fmt.Sprintf("local-%d", i)
		if !slices.ContainsFunc(volumes, func(v volume) bool { return v.Metadata.Name == name }) {
			create = append(create, name)
		}
	}
	return recycle, create
}

// ensureVolumes makes sure that count local volumes are free, and waits until the cluster says so.
func (c *cluster) ensureVolumes(ctx context.Context, count int) error {
	volumes, err := c.volumes(ctx)
	if err != nil {
		return err
	}
	recycle, create := planVolumes(volumes, count)
	for _, v := range recycle {
		if err := c.recycle(ctx, v); err != nil {
			return err
		}
	}
	if err := c.createVolumes(ctx, create); err != nil {
		return err
	}
	return poll(ctx, 30*time.Second, "volumes to become available", func() (bool, error) {
		volumes, err := c.volumes(ctx)
		return len(inPhase(volumes, "Available")) >= count, err
	})
}

// recycle deletes the data of a released volume and lets another claim have it.
func (c *cluster) recycle(ctx context.Context, v volume) error {
	if err := c.emptyVolumeFolder(v.Spec.Local.Path); err != nil {
		return fmt.Errorf("recycling volume %s: %w", v.Metadata.Name, err)
	}
	_, err := c.kubectl(ctx, "", "patch", "persistentvolume", v.Metadata.Name, "--type=merge", `--patch={"spec":{"claimRef":null}}`)
	return err
}

func (c *cluster) createVolumes(ctx context.Context, names []string) error {
	var manifests strings.Builder
	for _, name := range names {
		path := c.path("volumes", name)
		if err := c.emptyVolumeFolder(path); err != nil {
			return fmt.Errorf("making volume %s: %w", name, err)
		}
		fmt.Fprintf(&manifests, volumeManifest, name, storageClass, volumeCapacity, path, nodeName)
	}
	if len(names) == 0 {
		return nil
	}
	return c.apply(ctx, manifests.String())
}

// volumeManifest takes the name, storage class, capacity, folder and node.
const volumeManifest = `
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: %s}
spec:
  storageClassName: %s
  capacity: {storage: %s}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  local: {path: %q}
  nodeAffinity:
    required:
      nodeSelectorTerms:
      - matchExpressions:
        - {key: kubernetes.io/hostname, operator: In, values: [%s]}
`

// emptyVolumeFolder makes the folder anew, so that neither data nor owner of its last user remain.
func (c *cluster) emptyVolumeFolder(path string) error {
	if filepath.Dir(path) != c.path("volumes") || strings.HasPrefix(filepath.Base(path), ".") {
		return errors.New(path + " is not in the folder of the cluster's volumes")
	}
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return os.MkdirAll(path, 0o755)
}
