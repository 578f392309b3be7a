// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/qemu"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/storage"
)

// feature is a row of the table of what is supported. proof returns the cell of
// QEMU and what holds it: code that was asked, or tests by name. That a test is
// there is looked up; what it shows is for whoever adds a row to judge. "Not run"
// is for code that no test drives on the real thing.
type feature struct {
	name  string
	proof func(t *testing.T) (cell, heldBy string)
}

func features() []feature {
	return []feature{
		{"Boot, stop, and report the VM's death", tested("hypervisor/qemu", "TestVMBehaviour")},
		{"Reach the guest over virtio-serial", tested("protocols/transport", "TestSerialInVM")},
		{"KVM where it truly works", nested("hypervisor/qemu", "TestVMOnKVM")},
		{"Reach the guest over vhost-vsock", nested("hypervisor/qemu", "TestVMOnKVM")},
		{"Plug disks into a running VM", implements[hypervisor.DiskPlugger]},
		{"Plug network devices into a running VM", implements[hypervisor.NICPlugger]},
		{"Plug a shared file system into a running VM", implements[hypervisor.SharePlugger]},
		{"Plug memory into a running VM", implements[hypervisor.MemoryPlugger]},
		{"Pause and resume", implements[hypervisor.Pauser]},
		{"Root file systems over virtio-fs (snapshotters `overlayfs`, `native`) and on disks (`blockfile`, `erofs`)",
			tested("integration", "TestCtrRunOnSnapshotters", "TestPodOnSnapshotters")},
		{"Volumes: directories and files", tested("integration", "TestPodMounts")},
		{"Volumes: block devices", notRun("the plan alone", "sandbox/storage", "TestPlanMounts")},
		{"Pod interfaces: veth, macvlan, TAP", tested("network", "TestConnectCarriesBothWays", "TestConnectMacvlan", "TestConnectTap")},
		{"Pod interfaces: ipvlan", notRun("accepted", "network", "TestConnectKinds")},
		{"Interfaces that appear after the VM was started", tested("sandbox", "TestVMLateNetwork")},
		{"Forwarded ports (`crictl port-forward`), on the guest's localhost too", tested("integration", "TestPodPortForward")},
		{"Pods by containerd's CRI plugin", tested("integration", "TestPodLifeCycle", "TestPodSharing", "TestPodOfMany")},
		{"Containers by `ctr`", tested("integration", "TestCtrProcess", "TestCtrTask")},
		{"containerd 1.7, 2.1 and 2.4", engine("containerd", "TestContainerd", "TestUnmountedLayers")},
		{"nerdctl 2.2", engine("nerdctl", "TestNerdctl")},
		{"Docker 26 and 28", engine("docker", "TestDocker")},
		{"Pods by containerd's Sandbox API (`sandboxer = \"shim\"`)", critest("shim/sandboxapi", "TestLife")},
		{"Logs, exec, attach, terminals", tested("integration", "TestPodLogs", "TestPodExec", "TestPodAttach", "TestCtrTerminal")},
		{"Standard streams: every byte, detach, CloseIO, 1,000 containers in one VM", tested("integration/stdio", "TestThereAndBack",
			"TestBurstAndExit", "TestDetachAndReattach", "TestCloseIO", "TestSlowReader", "TestShortLived", "TestStreamingUnderLoad")},
		{"User namespaces of pods (`hostUsers: false`)", critest("agent/sandboxns", "TestMappedNamespaces")},
		{"Statistics, limits, out-of-memory kills", tested("integration", "TestPodLoad", "TestPodStats", "TestPodUpdate", "TestPodOOM", "TestPodMemory")},
		{"A restart of containerd, the death of a VM or a shim", tested("integration", "TestContainerdRestart", "TestVMDeath", "TestShimDeath")},
		{"containerd killed, or upgraded from 1.7 to 2.4, under pods that run", engine("containerd", "TestContainerd", "TestUpgrade")},
		{"vhost-net", nested("sandbox", "TestVMVhostNet")},
		{"Devices by VFIO", unbuilt("hypervisor.qemu.hot_plug_vfio")},
		{"Memory that comes and goes by virtio-mem", unbuilt("hypervisor.qemu.enable_virtio_mem")},
		{"Huge pages for the guest's memory", unbuilt("hypervisor.qemu.enable_hugepages")},
		{"A VMM without root", unbuilt("hypervisor.qemu.rootless")},
		{"Confidential guests", unbuilt("hypervisor.qemu.confidential_guest")},
		{"Start from a saved VM (template)", tested("sandbox", "TestVMClonesDiffer")},
		{"Tracing", unbuilt("runtime.enable_tracing")},
	}
}

func TestWhatIsSupported(t *testing.T) {
	clh, fc := vmm(t, "clh"), vmm(t, "firecracker")
	var rows [][]string
	for _, f := range features() {
		cell, heldBy := f.proof(t)
		rows = append(rows, []string{f.name, cell, clh, fc, heldBy})
	}
	holds(t, "../README.md", "support", table([]string{"", "QEMU", "Cloud Hypervisor", "Firecracker", "Held by"}, rows))
}

// vmm asks the configuration whether a section of another VMM is accepted.
func vmm(t *testing.T, section string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "configuration.toml")
	if err := os.WriteFile(path, []byte("[hypervisor."+section+"]\npath = \"/usr/bin/vmm\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(path); !errdefs.IsNotImplemented(err) {
		t.Errorf("the section [hypervisor.%s] is not refused, error %v: the table of what is supported needs a column of its own", section, err)
	}
	return "not yet"
}

// implements asks the driver's type.
func implements[T any](*testing.T) (cell, heldBy string) {
	capability := reflect.TypeFor[T]()
	cell = "no"
	if reflect.TypeFor[*qemu.VM]().Implements(capability) {
		cell = "yes"
	}
	return cell, code(capability.String())
}

// tested looks for tests by name.
func tested(pkg string, names ...string) func(*testing.T) (cell, heldBy string) {
	return func(t *testing.T) (string, string) {
		there := testsOf(t, pkg)
		for _, name := range names {
			if !there[name] {
				t.Errorf("package %s has no test %s any more", pkg, name)
			}
		}
		return "yes", code(pkg) + " " + strings.Join(names, ", ")
	}
}

// critest is for what the CRI conformance suite shows; the named tests hold it
// without containerd.
func critest(pkg string, names ...string) func(*testing.T) (cell, heldBy string) {
	return func(t *testing.T) (string, string) {
		cell, heldBy := tested(pkg, names...)(t)
		return cell, "`make critest`; " + heldBy
	}
}

// engine is for what the tests of an engine show, which have a target of their own.
func engine(name string, tests ...string) func(*testing.T) (cell, heldBy string) {
	return func(t *testing.T) (string, string) {
		cell, heldBy := tested("integration/engines/"+name, tests...)(t)
		return cell, "`make engines`; " + heldBy
	}
}

// nested is for tests that say why they skip where the machine lacks what they
// need, and that the nested node runs.
func nested(pkg string, names ...string) func(*testing.T) (cell, heldBy string) {
	return func(t *testing.T) (string, string) {
		_, heldBy := tested(pkg, names...)(t)
		return "yes", heldBy + ", in the node of `make nested`"
	}
}

// notRun is code that no test drives on the real thing; the named test holds less,
// and extent says how much.
func notRun(extent, pkg, name string) func(*testing.T) (cell, heldBy string) {
	return func(t *testing.T) (string, string) {
		_, heldBy := tested(pkg, name)(t)
		return "not run", heldBy + ", " + extent
	}
}

// testsOf are the names of a package's tests.
func testsOf(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				there[f.Name.Name] = true
			}
		}
	}
	return there
}

// hostFiles are what the planner asks about: a path's kind.
type hostFiles map[string]storage.Kind

func (f hostFiles) Stat(path string) (storage.Fact, error) {
	if kind, ok := f[path]; ok {
		return storage.Fact{Kind: kind}, nil
	}
	return storage.Fact{}, fmt.Errorf("%s: %w", path, errdefs.ErrNotFound)
}

func (f hostFiles) BlockDevice(int64, int64) (string, error) { return "", errdefs.ErrNotFound }

func (f hostFiles) MountsBelow(string) (bool, error) { return false, nil }

// unbuilt asks for a key that the configuration refuses.
func unbuilt(key string) func(*testing.T) (cell, heldBy string) {
	return func(t *testing.T) (string, string) {
		for _, k := range config.Unbuilt() {
			if k.Key == key && len(k.Accepted) > 0 {
				return "no", "key " + code(key[strings.LastIndex(key, ".")+1:])
			}
		}
		t.Errorf("%s is refused no more: the table of what is supported has to say what holds it", key)
		return "yes", ""
	}
}
