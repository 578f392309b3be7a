// SPDX-License-Identifier: Apache-2.0

package service

import (
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestSharedIsSortedByOwner(t *testing.T) {
	const share = "/run/kata-containers/shared/containers/"
	s := &Service{Parts: Parts{Paths: DefaultPaths()}}
	spec := &specs.Spec{Root: &specs.Root{Path: share + "c1/rootfs"}, Mounts: []specs.Mount{
		{Source: share + "c1-0a1b2c3d-data"}, {Source: share + "c12-0a1b2c3d-data"}, {Source: share + "sandbox-mounts/tools"},
		{Source: "tmpfs"}, {Source: "/run/kata-containers/sandbox/shm"},
	}}
	own, others := s.shared("c1", spec)
	if want := []string{share + "c1/rootfs", share + "c1-0a1b2c3d-data"}; !slices.Equal(own, want) {
		t.Errorf("its own are %q, want %q", own, want)
	}
	if want := []string{share + "c12-0a1b2c3d-data", share + "sandbox-mounts/tools"}; !slices.Equal(others, want) {
		t.Errorf("others are %q, want %q", others, want)
	}
	spec.Root.Path = "/run/kata-containers/c1/rootfs" // on a disk
	if own, _ := s.shared("c1", spec); len(own) != 1 {
		t.Errorf("with a root on a disk, its own are %q", own)
	}
}
