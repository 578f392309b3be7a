// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/hostcgroup"
	"github.com/katapod/katapod/sandbox/sizing"
	"github.com/katapod/katapod/sandbox/spec/spectest"
	"github.com/katapod/katapod/shim/podkind"
)

// FuzzOptions derives a pod from a spec: what its annotations make of the
// configuration, of which kind it is, its options and its size. Every input gives
// options or an error of a known class, the same input the same.
func FuzzOptions(f *testing.F) {
	dir := f.TempDir()
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte("nameserver 10.0.0.1\n"), 0o600),
		unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600),
	); err != nil {
		f.Fatal(err)
	}
	for _, source := range []string{"resolv.conf", "fifo", "absent", "."} {
		f.Add([]byte(`{"annotations":{"io.kubernetes.cri.container-type":"sandbox","io.kubernetes.cri.sandbox-memory":"1048576"},
			"linux":{"namespaces":[{"type":"ipc"},{"type":"network"}],"resources":{"memory":{"limit":-5},"cpu":{"quota":9223372036854775807,"period":1}}}}`), source)
	}
	f.Add([]byte(`{"annotations":{"io.katacontainers.config.hypervisor.default_vcpus":"-1","io.katacontainers.config.hypervisor.default_memory":"1e9"}}`), "resolv.conf")
	f.Fuzz(func(t *testing.T, data []byte, source string) {
		s := spectest.FromBytes(data)
		if s == nil {
			return
		}
		// Only of these files may a fuzzer have the content read.
		for i := range s.Mounts {
			s.Mounts[i].Source = filepath.Join(dir, filepath.Base(source))
		}
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/etc/resolv.conf", Source: filepath.Join(dir, filepath.Base(source))})
		before := maps.Clone(s.Annotations)
		a, err := optionsOf(s)
		b, errAgain := optionsOf(s)
		if (err == nil) != (errAgain == nil) || !reflect.DeepEqual(a, b) {
			t.Errorf("one spec gave %+v, error %v, and %+v, error %v", a, err, b, errAgain)
		}
		if err != nil && errors.Is(errdefs.Resolve(err), errdefs.ErrUnknown) {
			t.Errorf("an error without a class: %v", err)
		}
		if err == nil && (a.size.VCPUs < 1 || a.size.VCPUs > 4 || a.size.MemoryMiB < 1 || a.size.MemoryMiB > 8<<10) {
			t.Errorf("a VM of %+v on a host of 4 CPUs and 8 GiB", a.size)
		}
		if !maps.Equal(before, s.Annotations) {
			t.Errorf("the annotations became %v", s.Annotations)
		}
	})
}

// derived is a pod and what is reckoned from it before anything is made.
type derived struct {
	options sandbox.Options
	kind    podkind.Kind
	size    sizing.Size
	limits  hostcgroup.Limits
}

func optionsOf(s *specs.Spec) (d derived, err error) {
	if d.kind, _, err = podkind.Of("c", s.Annotations); err != nil {
		return derived{}, err
	}
	c, err := config.Default().WithAnnotations(s.Annotations)
	if err != nil {
		return derived{}, err
	}
	if d.options, err = (Origin{ID: "c", Namespace: "ns", Bundle: "/b", Kind: d.kind, Spec: s}).Options(c); err != nil {
		return derived{}, err
	}
	d.size, err = sizing.VM(d.options.Resources, sizing.Bounds{
		DefaultVCPUs: c.Hypervisor.DefaultVCPUs, MaxVCPUs: c.Hypervisor.DefaultMaxVCPUs,
		DefaultMemoryMiB: c.Hypervisor.DefaultMemory, MaxMemoryMiB: c.Hypervisor.DefaultMaxMemory,
		HostCPUs: 4, HostMemoryMiB: 8 << 10,
	})
	if err != nil {
		return derived{}, err
	}
	d.limits = sizing.HostLimits(d.options.Resources, d.size, "qemu")
	return d, nil
}
