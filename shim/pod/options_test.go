// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/failure"
	"github.com/katapod/katapod/sandbox/storage"
	"github.com/katapod/katapod/shim/podkind"
)

func spec(namespaces ...specs.LinuxNamespace) *specs.Spec {
	return &specs.Spec{Hostname: "web", Annotations: map[string]string{}, Linux: &specs.Linux{Namespaces: namespaces, CgroupsPath: "/a/b"}}
}

func TestOptionsOfAPod(t *testing.T) {
	resolv := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(resolv, []byte("nameserver 10.0.0.1\n\n  options ndots:5 \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := spec(specs.LinuxNamespace{Type: specs.IPCNamespace}, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: "/run/netns/x"})
	s.Annotations["io.kubernetes.cri.sandbox-memory"] = "1048576"
	s.Linux.Sysctl = map[string]string{"net.core.somaxconn": "1"}
	s.Mounts = []specs.Mount{
		{Destination: "/etc/resolv.conf", Type: "bind", Source: resolv},
		{Destination: "/dev/shm", Type: "tmpfs", Options: []string{"nosuid", "size=65536k"}},
	}
	o, err := Origin{ID: "pod", Namespace: "ns", Bundle: "/b", Kind: podkind.Sandbox, Spec: s}.Options(config.Default())
	if err != nil {
		t.Fatal(err)
	}
	if o.ID != "pod" || o.Namespace != "ns" || o.Bundle != "/b" || o.Hostname != "web" || o.NetNS != "/run/netns/x" || o.CgroupPath != "/a/b" {
		t.Errorf("options %+v", o)
	}
	if !slices.Equal(o.DNS, []string{"nameserver 10.0.0.1", "options ndots:5"}) || o.ShmSize != 64<<20 || o.Sysctls["net.core.somaxconn"] != "1" || o.Resources.MemoryBytes != 1<<20 {
		t.Errorf("options %+v", o)
	}
}

func TestShareOfAPod(t *testing.T) {
	s := spec(own()...)
	for kind, want := range map[string]bool{"overlay": true, "erofs": false} {
		o, err := Origin{ID: "c", Kind: podkind.Lone, Spec: s, Rootfs: []storage.Mount{{Type: kind}}}.Options(config.Default())
		if err != nil || o.SharesSoon != want {
			t.Errorf("a root of type %s: a share soon is %v, error %v", kind, o.SharesSoon, err)
		}
	}
}

func TestOptionsOfALoneContainer(t *testing.T) {
	limit := int64(1 << 30)
	s := spec(own()...)
	s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}}
	o, err := Origin{ID: "c", Kind: podkind.Lone, Spec: s}.Options(config.Default())
	if err != nil || o.NetNS != "" || o.Resources.MemoryBytes != limit {
		t.Errorf("options %+v, error %v", o, err)
	}
}

func TestBadSpecs(t *testing.T) {
	_, err := Origin{Kind: podkind.Lone, Spec: spec()}.Options(config.Default())
	if !errors.Is(err, ErrHostNetwork) || !errors.Is(err, errdefs.ErrNotImplemented) {
		t.Errorf("the host's network: %v", err)
	}
	s := spec(specs.LinuxNamespace{Type: specs.NetworkNamespace})
	if _, err := (Origin{Kind: podkind.Sandbox, Spec: s}).Options(config.Default()); !errors.Is(err, ErrHostIPC) || !errors.Is(err, errdefs.ErrNotImplemented) {
		t.Errorf("the host's IPC: %v", err)
	}
	s = spec(own()...)
	s.Mounts = []specs.Mount{{Destination: "/etc/resolv.conf", Source: "/nonexistent"}}
	if _, err := (Origin{Kind: podkind.Lone, Spec: s}).Options(config.Default()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a resolv.conf that is not there: %v", err)
	}
	s = spec(specs.LinuxNamespace{Type: specs.NetworkNamespace}, specs.LinuxNamespace{Type: specs.IPCNamespace})
	s.Annotations["io.kubernetes.cri.sandbox-memory"] = "much"
	if _, err := (Origin{Kind: podkind.Sandbox, Spec: s}).Options(config.Default()); !errors.Is(err, errdefs.ErrInvalidArgument) {
		t.Errorf("a size that is no number: %v", err)
	}
}

func TestShmSize(t *testing.T) {
	for option, want := range map[string]uint64{
		"size=65536k": 64 << 20, "size=1g": 1 << 30, "size=2M": 2 << 20, "size=4096": 4096, "mode=1777": 0,
		"size=50%": 0, "size=": 0, "size=99999999999999999999g": 0, "size=18446744073709551615g": 0,
	} {
		got := shmSize([]specs.Mount{{Destination: "/dev/shm", Type: "tmpfs", Options: []string{"ro", option}}})
		if got != want {
			t.Errorf("%s: %d, want %d", option, got, want)
		}
	}
	if got := shmSize([]specs.Mount{{Destination: "/dev/shm", Type: "bind", Source: "/nonexistent"}}); got != 0 {
		t.Errorf("a source that is not there: %d", got)
	}
	if got := shmSize(nil); got != 0 {
		t.Errorf("no mount: %d", got)
	}
	if _, err := os.Stat("/dev/shm"); err == nil {
		if got := shmSize([]specs.Mount{{Destination: "/dev/shm", Type: "bind", Source: "/dev/shm"}}); got == 0 {
			t.Skip("this host's /dev/shm is no tmpfs")
		}
	}
}

// stub is a Sandbox that starts or not; what is not overridden is not called.
type stub struct {
	Sandbox
	err     error
	stopped int
}

func (s *stub) Start(context.Context) error { return s.err }
func (s *stub) Stop(context.Context) error  { s.stopped++; return nil }
func (s *stub) PID() int                    { return 7 }

func TestPod(t *testing.T) {
	vm := &stub{err: errdefs.ErrUnavailable}
	followed := make(chan Sandbox, 1)
	p := New(func(sandbox.Options) (Sandbox, error) { return vm, nil })
	p.Follow(func(s Sandbox) { followed <- s })
	o := sandbox.Options{ID: "pod", Bundle: t.TempDir(), Config: config.Default()}
	if _, err := p.Sandbox(); !errors.Is(err, errdefs.ErrFailedPrecondition) || p.PID() != 0 || p.ID() != "" {
		t.Errorf("before Begin: pod %q, pid %d, error %v", p.ID(), p.PID(), err)
	}
	if err := p.End(t.Context()); err != nil {
		t.Errorf("End before Begin: %v", err)
	}
	if _, err := p.Begin(t.Context(), o); !errors.Is(err, errdefs.ErrUnavailable) || p.ID() != "" {
		t.Errorf("Begin that fails: pod %q, error %v", p.ID(), err)
	}
	vm.err = nil
	if _, err := p.Begin(t.Context(), o); err != nil || p.PID() != 7 || p.ID() != "pod" {
		t.Errorf("Begin: pod %q, pid %d, error %v", p.ID(), p.PID(), err)
	}
	if s := leaktest.Receive(t, followed); s != Sandbox(vm) {
		t.Errorf("followed %v", s)
	}
	if _, err := p.Begin(t.Context(), o); !errors.Is(err, errdefs.ErrAlreadyExists) {
		t.Errorf("second Begin: %v", err)
	}
	state, err := os.ReadFile(filepath.Join(o.Bundle, "katapod.state-dir"))
	if err != nil || string(state) != o.Config.Runtime.SandboxDir(o.Namespace, "pod") {
		t.Errorf("the bundle says %q, error %v", state, err)
	}
	for range 2 {
		if err := p.End(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if vm.stopped != 2 {
		t.Errorf("stopped %d times", vm.stopped)
	}
}

// What is refused before there is a pod is reported as a failure as well.
func TestRefused(t *testing.T) {
	bundle := t.TempDir()
	for _, c := range []struct {
		err  error
		code failure.Code
	}{
		{ErrHostNetwork, failure.Unsupported},
		{fmt.Errorf("the key x: %w", errdefs.ErrInvalidArgument), failure.ConfigInvalid},
		{fmt.Errorf("read /x: %w", errdefs.ErrNotFound), failure.ConfigInvalid},
		{failure.With(failure.TooLarge, errdefs.ErrInvalidArgument), failure.TooLarge},
		{errors.New("boom"), failure.Internal},
	} {
		err := Refused("p", "n", bundle, c.err)
		var f *sandbox.Failure
		if !errors.As(err, &f) || f.Code != c.code || !errors.Is(err, c.err) || f.Step != failure.StepConfigure {
			t.Errorf("%v became %v", c.err, err)
		}
		if r, err := failure.Read(filepath.Join(bundle, failure.FileName)); err != nil || r.Code != c.code || r.Pod != "p" {
			t.Errorf("the report beside the bundle is %v, error %v", r, err)
		}
	}
	for _, nowhere := range []string{"", "relative", "/nonexistent"} {
		if err := Refused("p", "n", nowhere, errdefs.ErrNotFound); err.Error() != Refused("p", "n", "", errdefs.ErrNotFound).Error() {
			t.Errorf("%q: %v", nowhere, err)
		}
	}
}

func TestConfigure(t *testing.T) {
	if _, err := Configure(t.Context(), nil, "/nonexistent.toml"); !errors.Is(err, errdefs.ErrNotFound) {
		t.Errorf("a file that is not there: %v", err)
	}
	path := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(path, []byte("[hypervisor.qemu]\nnonsense = 1\ndefault_memory = 300\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Configure(t.Context(), map[string]string{config.PathAnnotation: path}, "/nonexistent.toml")
	if err != nil || c.Hypervisor.DefaultMemory != 300 || len(c.Warnings) != 1 {
		t.Errorf("configuration %+v, error %v", c, err)
	}
}
