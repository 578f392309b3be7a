// SPDX-License-Identifier: Apache-2.0

package hostcgroup

import (
	"fmt"
	"path"
	"strings"

	"github.com/containerd/errdefs"
)

// PathFor returns the path of the group of sandbox id, given the cgroupsPath of
// the OCI spec of the container that stands for the pod. The group lies beside
// that container's: "/kubepods/pod1/abc" gives "/kubepods/pod1/kata_<id>", as
// users of Kata know it. The form of systemd, "slice:prefix:name", gives
// "slice:prefix:kata_<id>". An empty cgroupsPath gives "/kata_<id>".
func PathFor(cgroupsPath, id string) (string, error) {
	name := "kata_" + id
	if id == "" || strings.ContainsAny(id, "/:\x00") || len(name) > 255 {
		return "", fmt.Errorf("sandbox id %q cannot be part of a cgroup's name: %w", id, errdefs.ErrInvalidArgument)
	}
	if parts := strings.Split(cgroupsPath, ":"); len(parts) == 3 {
		if _, err := slicePath(parts[0]); err != nil {
			return "", err
		}
		return parts[0] + ":" + parts[1] + ":" + name, nil
	}
	return path.Join("/", path.Dir(path.Join("/", cgroupsPath)), name), nil
}

// location is a parsed path of a group.
type location struct {
	// dir is the directory below each hierarchy's mount point.
	dir string
	// unit is the systemd slice that the group is, or empty for a plain
	// directory.
	unit string
}

// locate parses what PathFor returns and what a ledger holds.
func locate(p string) (location, error) {
	parts := strings.Split(p, ":")
	if len(parts) == 3 {
		return locateUnit(parts[0], parts[2])
	}
	if !path.IsAbs(p) || path.Clean(p) != p || p == "/" {
		return location{}, fmt.Errorf("cgroup path %q is neither a clean absolute path below the root "+
			"nor systemd's slice:prefix:name: %w", p, errdefs.ErrInvalidArgument)
	}
	return location{dir: p}, nil
}

// locateUnit names a slice below slice. A slice needs no process to exist,
// unlike a scope, and its name tells its parent: "a-b.slice" is below
// "a.slice". A dash of the name would make a level, and becomes "_".
func locateUnit(slice, name string) (location, error) {
	parent, err := slicePath(slice)
	if err != nil {
		return location{}, err
	}
	if name == "" || strings.ContainsAny(name, "/\x00") {
		return location{}, fmt.Errorf("cgroup name %q is not a unit's name: %w", name, errdefs.ErrInvalidArgument)
	}
	unit := strings.ReplaceAll(name, "-", "_") + ".slice"
	if slice != "" && slice != "-.slice" {
		unit = strings.TrimSuffix(slice, ".slice") + "-" + unit
	}
	return location{dir: path.Join("/", parent, unit), unit: unit}, nil
}

// slicePath expands "a-b.slice" to "a.slice/a-b.slice", as systemd.slice(5)
// says.
func slicePath(slice string) (string, error) {
	if slice == "" || slice == "-.slice" {
		return "", nil
	}
	stem, ok := strings.CutSuffix(slice, ".slice")
	if !ok || stem == "" || strings.ContainsAny(stem, "/\x00") {
		return "", fmt.Errorf("%q is not the name of a systemd slice: %w", slice, errdefs.ErrInvalidArgument)
	}
	var dirs []string
	parts := strings.Split(stem, "-")
	for i, part := range parts {
		if part == "" {
			return "", fmt.Errorf("%q is not the name of a systemd slice: %w", slice, errdefs.ErrInvalidArgument)
		}
		dirs = append(dirs, strings.Join(parts[:i+1], "-")+".slice")
	}
	return path.Join(dirs...), nil
}
