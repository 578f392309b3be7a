// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/sandbox/storage"
)

// valid is a small spec that ToGuest accepts.
func valid() *specs.Spec {
	return &specs.Spec{
		Version: "1.3.0",
		Root:    &specs.Root{Path: "rootfs"},
		Process: &specs.Process{Args: []string{"sh"}, Env: []string{"A=b"}, Cwd: "/"},
		Linux: &specs.Linux{
			CgroupsPath: "/kubepods/pod1/c1",
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace, Path: "/proc/42/ns/ipc"},
				{Type: specs.UTSNamespace, Path: "/proc/42/ns/uts"}, {Type: specs.MountNamespace},
				{Type: specs.NetworkNamespace, Path: "/var/run/netns/cni-1"},
			},
		},
	}
}

func env() Env {
	return Env{ContainerID: "c1", RootPath: "/run/kata-containers/shared/containers/c1/rootfs", VCPUs: 2}
}

// convert goes all the way to the protocol's shape.
func convert(t *testing.T, in *specs.Spec, e Env) *agentpb.Spec {
	t.Helper()
	out, err := ToWire(guestForm(t, in, e))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func guestForm(t *testing.T, in *specs.Spec, e Env) *specs.Spec {
	t.Helper()
	out, err := ToGuest(in, e)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// refuses checks kind and content of ToGuest's error.
func refuses(t *testing.T, in *specs.Spec, e Env, parts ...string) {
	t.Helper()
	_, err := ToGuest(in, e)
	if !errdefs.IsNotImplemented(err) {
		t.Fatalf("error %v is not of kind not implemented", err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

func TestEmptySpecIsInvalid(t *testing.T) {
	for name, in := range map[string]*specs.Spec{
		"nil": nil, "empty": {}, "no linux": {Process: &specs.Process{}}, "no process": {Linux: &specs.Linux{}},
	} {
		if _, err := ToGuest(in, env()); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%s: error %v is not of kind invalid argument", name, err)
		}
	}
}

func TestInputStaysAsItIs(t *testing.T) {
	in := load(t)
	before, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	out := guestForm(t, in, env())
	out.Process.Terminal, out.Annotations["new"], out.Linux.Namespaces[0].Path = !in.Process.Terminal, "x", "/p"
	out.Linux.Resources.Devices = append(out.Linux.Resources.Devices, specs.LinuxDeviceCgroup{Allow: true})
	after, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Error("ToGuest, or a change of its result, changed its input")
	}
}

// load reads a spec as containerd's CRI plugin writes it.
func load(t *testing.T) *specs.Spec {
	t.Helper()
	data, err := os.ReadFile("testdata/cri-container.json")
	if err != nil {
		t.Fatal(err)
	}
	var s specs.Spec
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

func TestContainerOfCRI(t *testing.T) {
	e := env()
	e.Mounts = []storage.GuestMount{{Destination: "/proc", Type: "proc", Source: "proc"}}
	out := convert(t, load(t), e)
	if got := out.Root; !proto.Equal(got, &agentpb.Root{Path: e.RootPath, Readonly: true}) {
		t.Errorf("root is %v", got)
	}
	if len(out.Mounts) != 1 || out.Mounts[0].Destination != "/proc" {
		t.Errorf("mounts are %v, want the plan's", out.Mounts)
	}
	if got := out.Linux.CgroupsPath; got != "/katapod/c1" {
		t.Errorf("cgroups path is %q", got)
	}
	if got := out.Process.OOMScoreAdj; got != 991 {
		t.Errorf("oom score adjustment is %d", got)
	}
	if got := out.Linux.Resources.Memory.Limit; got != 64<<20 {
		t.Errorf("memory limit is %d", got)
	}
	if len(out.Linux.Seccomp.GetSyscalls()) == 0 || !slices.Contains(out.Linux.MaskedPaths, "/proc/kcore") {
		t.Error("seccomp profile or masked paths are lost")
	}
	if len(out.Linux.Resources.HugepageLimits) != 0 {
		t.Errorf("huge page limits of 0 are %v", out.Linux.Resources.HugepageLimits)
	}
}

func TestNoHostPathCrosses(t *testing.T) {
	text, err := json.Marshal(guestForm(t, load(t), env()))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/kubepods", "/var/run/netns", "/proc/4242", "/var/log/pods", "/run/containerd", "/opt/hooks"} {
		if strings.Contains(string(text), path) {
			t.Errorf("the guest's form has the host's path %s", path)
		}
	}
}

func TestAnnotations(t *testing.T) {
	in := valid()
	in.Annotations = map[string]string{
		"mine": "yes", "io.katacontainers.config.hypervisor.kernel": "/k", "io.katacontainers.config_path": "/c",
		"io.katacontainers.pkg.oci.bundle_path": "/b", "io.kubernetes.cri.sandbox-log-directory": "/l",
		"io.kubernetes.cri-o.MountPoint": "/m", "io.kubernetes.cri.container-name": "app",
		"nerdctl/mounts": `[{"Source":"/var/lib/secret"}]`, "another/engine": "/var/lib/another",
	}
	out := convert(t, in, env())
	if len(out.Annotations) != 2 || out.Annotations["mine"] != "yes" || out.Annotations["io.kubernetes.cri.container-name"] != "app" {
		t.Errorf("annotations are %v", out.Annotations)
	}
}

func TestNamespaces(t *testing.T) {
	without := func(kind specs.LinuxNamespaceType) *specs.Spec {
		in := valid()
		in.Linux.Namespaces = slices.DeleteFunc(in.Linux.Namespaces, func(ns specs.LinuxNamespace) bool { return ns.Type == kind })
		return in
	}
	with := func(ns specs.LinuxNamespace) *specs.Spec {
		in := without(ns.Type)
		in.Linux.Namespaces = append(in.Linux.Namespaces, ns)
		return in
	}
	refuses(t, without(specs.NetworkNamespace), env(), "network namespace", "hostNetwork: false")
	refuses(t, without(specs.PIDNamespace), env(), "pid namespace", "hostPID: false")
	refuses(t, without(specs.IPCNamespace), env(), "ipc namespace")
	refuses(t, without(specs.UTSNamespace), env(), "uts namespace")
	refuses(t, without(specs.MountNamespace), env(), "mount namespace")
	refuses(t, with(specs.LinuxNamespace{Type: specs.TimeNamespace}), env(), "time namespace")
	joined := with(specs.LinuxNamespace{Type: specs.PIDNamespace, Path: "/proc/9/ns/pid"})
	refuses(t, joined, env(), "/proc/9/ns/pid", "shareProcessNamespace")

	shared := env()
	shared.SharedPIDNS = true
	for _, ns := range convert(t, joined, shared).Linux.Namespaces {
		if ns.Path != "" || ns.Type == "network" {
			t.Errorf("the guest's form has the namespace %v", ns)
		}
	}
	mapped := with(specs.LinuxNamespace{Type: specs.UserNamespace, Path: "/proc/9/ns/user"})
	for _, ids := range [][]specs.LinuxIDMapping{nil, {{ContainerID: 1, HostID: 65536, Size: 65536}}, {{HostID: 65536}}} {
		mapped.Linux.UIDMappings, mapped.Linux.GIDMappings = ids, ids
		if _, err := ToGuest(mapped, env()); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "uidMappings") {
			t.Errorf("a user namespace with the ids %v: error %v", ids, err)
		}
	}
	mapped.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 65536, Size: 65536}}
	mapped.Linux.GIDMappings = mapped.Linux.UIDMappings
	out := convert(t, mapped, env()).Linux
	if len(out.Namespaces) != 5 || !proto.Equal(out.UIDMappings[0], &agentpb.LinuxIDMapping{HostID: 65536, Size: 65536}) {
		t.Errorf("user namespace: %v, mappings %v", out.Namespaces, out.UIDMappings)
	}
}

func TestHooks(t *testing.T) {
	in := valid()
	timeout := 5
	hook := func(name string) []specs.Hook {
		return []specs.Hook{{Path: "/" + name, Args: []string{name}, Env: []string{"E=1"}, Timeout: &timeout}}
	}
	in.Hooks = &specs.Hooks{
		//lint:ignore SA1019 engines still write it
		Prestart: hook("prestart"), CreateRuntime: hook("createRuntime"), StartContainer: hook("startContainer"),
		Poststart: hook("poststart"), Poststop: hook("poststop"),
	}
	want := &agentpb.Hooks{StartContainer: []*agentpb.Hook{{Path: "/startContainer", Args: []string{"startContainer"}, Env: []string{"E=1"}, Timeout: 5}}}
	if got := convert(t, in, env()).Hooks; !proto.Equal(got, want) {
		t.Errorf("the guest's hooks are %v", got)
	}
	host := ForHost(in)
	if len(host.Create) != 2 || host.Create[0].Path != "/prestart" || host.Create[1].Path != "/createRuntime" ||
		host.Start[0].Path != "/poststart" || host.Stop[0].Path != "/poststop" {
		t.Errorf("the host's hooks are %+v", host)
	}
	if none := ForHost(valid()); none.Create != nil || none.Start != nil || none.Stop != nil {
		t.Errorf("a spec without hooks has %+v", none)
	}
}
