package manifest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// kustomization is the name of the file that kustomize reads, without what stands behind the dot.
const kustomization = "kustomization"

// patched are the fields of such a file that name files with parts of objects.
type patched struct {
	Patches []struct {
		Path string `json:"path"`
	} `json:"patches"`
	PatchesStrategicMerge []string `json:"patchesStrategicMerge"`
	PatchesJSON6902       []struct {
		Path string `json:"path"`
	} `json:"patchesJson6902"`
}

// patches are the files of a folder that are parts of objects only, as its kustomization.yaml says. One that cannot be read names none: kustomize says why.
func patches(folder string) []string {
	var files []string
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() || !strings.EqualFold(strings.TrimSuffix(name, filepath.Ext(name)), kustomization) {
			continue
		}
		content, err := os.ReadFile(filepath.Join(folder, name))
		var said patched
		if err != nil || len(content) > fileLimit || yaml.Unmarshal(content, &said) != nil {
			continue
		}
		for _, p := range slices.Concat(said.Patches, said.PatchesJSON6902) {
			files = append(files, filepath.Join(folder, p.Path))
		}
		for _, p := range said.PatchesStrategicMerge {
			files = append(files, filepath.Join(folder, p))
		}
	}
	return files
}
