// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	sandboxapi "github.com/containerd/containerd/api/runtime/sandbox/v1"
	taskv3 "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/katapod/katapod/integration/leaktest"
)

// podShim is a shim process that serves the Sandbox API.
type podShim struct {
	t      *testing.T
	n      vmNode
	bundle string
	pid    int
	api    sandboxapi.TTRPCSandboxService
	task   taskv3.TTRPCTaskService
}

func newPodShim(t *testing.T) *podShim {
	t.Helper()
	return newVMNode(t).podShim(t)
}

func (n vmNode) podShim(t *testing.T) *podShim {
	t.Helper()
	bundle := n.bundle(t, sandboxes, "pod", nil)
	showLog(t, bundle)
	result := n.start(t, bundle, "pod")
	client := connect(t, result.Address)
	return &podShim{
		t: t, n: n, bundle: bundle, pid: pid(t, bundle),
		api: sandboxapi.NewTTRPCSandboxClient(client), task: taskv3.NewTTRPCTaskClient(client),
	}
}

// Fields of the CRI's PodSandboxConfig, by number.
func criText(n protowire.Number, parts ...string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, n, protowire.BytesType), strings.Join(parts, ""))
}

func criNumber(n protowire.Number, v uint64) string {
	return string(protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v))
}

// podConfig has a hostname, DNS, a sysctl, and a network of that NamespaceMode.
func podConfig(network uint64) *anypb.Any {
	message := slices.Concat(
		criText(2, "named-pod"),
		criText(4, string(criText(1, "192.0.2.53")), string(criText(2, "pods.test"))),
		criText(6, string(criText(1, "app")), string(criText(2, "web"))),
		criText(8, string(criText(2, string(criText(1, criNumber(1, network), criNumber(2, 1))))),
			string(criText(3, string(criText(1, "net.ipv4.ip_local_port_range")), string(criText(2, "20000 30000"))))),
	)
	return &anypb.Any{TypeUrl: "runtime.v1.PodSandboxConfig", Value: message}
}

func (p *podShim) create(options *anypb.Any) error {
	_, err := p.api.CreateSandbox(within(p.t), &sandboxapi.CreateSandboxRequest{
		SandboxID: "pod", BundlePath: p.bundle, Options: options,
		Annotations: map[string]string{"io.katacontainers.config_path": p.n.config},
	})
	return err
}

// calls are those that may be made in any state without changing it.
func (p *podShim) calls(id string) map[string]func() error {
	ctx := within(p.t)
	return map[string]func() error{
		"Platform": func() error {
			r, err := p.api.Platform(ctx, &sandboxapi.PlatformRequest{SandboxID: id})
			if err == nil && r.Platform.OS != "linux" {
				return fmt.Errorf("the platform is %v", r.Platform)
			}
			return err
		},
		"SandboxStatus": func() error {
			_, err := p.api.SandboxStatus(ctx, &sandboxapi.SandboxStatusRequest{SandboxID: id, Verbose: true})
			return err
		},
		"PingSandbox": func() error { _, err := p.api.PingSandbox(ctx, &sandboxapi.PingRequest{SandboxID: id}); return err },
		"SandboxMetrics": func() error {
			_, err := p.api.SandboxMetrics(ctx, &sandboxapi.SandboxMetricsRequest{SandboxID: id})
			return err
		},
		"UpdateSandbox": func() error {
			_, err := p.api.UpdateSandbox(ctx, &sandboxapi.UpdateSandboxRequest{SandboxID: id, Fields: []string{"labels"}, Sandbox: &types.Sandbox{Labels: map[string]string{"app": "web"}}})
			return err
		},
	}
}

// expect makes the calls that only ask, and those that a state refuses, and
// compares the codes; nil is success.
func (p *podShim) expect(state string, want map[string]error) {
	p.t.Helper()
	calls := p.calls("pod")
	ctx := within(p.t)
	calls["CreateSandbox"] = func() error { return p.create(podConfig(0)) }
	calls["StartSandbox"] = func() error {
		_, err := p.api.StartSandbox(ctx, &sandboxapi.StartSandboxRequest{SandboxID: "pod"})
		return err
	}
	calls["StopSandbox"] = func() error {
		_, err := p.api.StopSandbox(ctx, &sandboxapi.StopSandboxRequest{SandboxID: "pod"})
		return err
	}
	calls["WaitSandbox"] = func() error {
		_, err := p.api.WaitSandbox(ctx, &sandboxapi.WaitSandboxRequest{SandboxID: "pod"})
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(want)) { // StopSandbox comes last but for waiting
		code := want[name]
		if err := errgrpc.ToNative(calls[name]()); code == nil && err != nil || code != nil && !errors.Is(err, code) {
			p.t.Errorf("%s in the state %q: error %v, want %v", name, state, err, code)
		}
	}
	if state == "nothing" {
		return
	}
	unknown := p.calls("unknown")
	unknown["StartSandbox"] = func() error {
		_, err := p.api.StartSandbox(ctx, &sandboxapi.StartSandboxRequest{SandboxID: "unknown"})
		return err
	}
	unknown["StopSandbox"] = func() error {
		_, err := p.api.StopSandbox(ctx, &sandboxapi.StopSandboxRequest{SandboxID: "unknown"})
		return err
	}
	unknown["WaitSandbox"] = func() error {
		_, err := p.api.WaitSandbox(ctx, &sandboxapi.WaitSandboxRequest{SandboxID: "unknown"})
		return err
	}
	unknown["ShutdownSandbox"] = func() error {
		_, err := p.api.ShutdownSandbox(ctx, &sandboxapi.ShutdownSandboxRequest{SandboxID: "unknown"})
		return err
	}
	for name, call := range unknown {
		if err := errgrpc.ToNative(call()); !errdefs.IsNotFound(err) {
			p.t.Errorf("%s of an unknown sandbox in the state %q: error %v", name, state, err)
		}
	}
}

// TestSandboxLife takes a pod without a pause container through its states and
// makes every call in each.
func TestSandboxLife(t *testing.T) {
	p := newPodShim(t)
	missing, early, taken, away := errdefs.ErrNotFound, errdefs.ErrFailedPrecondition, errdefs.ErrAlreadyExists, errdefs.ErrUnavailable
	p.expect("nothing", map[string]error{
		"Platform": missing, "SandboxStatus": missing, "PingSandbox": missing, "SandboxMetrics": missing, "UpdateSandbox": missing,
		"StartSandbox": early, "StopSandbox": missing, "WaitSandbox": missing,
	})
	if err := errgrpc.ToNative(p.create(podConfig(2))); !errdefs.IsNotImplemented(err) {
		t.Errorf("a pod in the host's network: %v", err)
	}
	if err := errgrpc.ToNative(p.create(nil)); !errdefs.IsInvalidArgument(err) {
		t.Errorf("a pod without a configuration: %v", err)
	}
	if err := p.create(podConfig(0)); err != nil {
		t.Fatal(err)
	}
	p.expect("created", map[string]error{
		"Platform": nil, "SandboxStatus": nil, "PingSandbox": early, "SandboxMetrics": early, "UpdateSandbox": early, "CreateSandbox": taken,
	})
	waited := make(chan *sandboxapi.WaitSandboxResponse, 1)
	go func() {
		r, _ := p.api.WaitSandbox(within(t), &sandboxapi.WaitSandboxRequest{SandboxID: "pod"}) // nil says it all
		waited <- r
	}()
	started, err := p.api.StartSandbox(within(t), &sandboxapi.StartSandboxRequest{SandboxID: "pod"})
	if err != nil || started.Pid == 0 || started.CreatedAt == nil {
		t.Fatalf("StartSandbox answered %v, error %v", started, err)
	}
	p.expect("running", map[string]error{
		"Platform": nil, "SandboxStatus": nil, "PingSandbox": nil, "SandboxMetrics": nil, "UpdateSandbox": nil, "CreateSandbox": taken, "StartSandbox": taken,
	})
	p.status("SANDBOX_READY", started.Pid)
	for range 2 { // the second is of the same id, as a container that is run again
		p.container()
	}
	for range 2 {
		if _, err := p.api.StopSandbox(within(t), &sandboxapi.StopSandboxRequest{SandboxID: "pod", TimeoutSecs: 30}); err != nil {
			t.Errorf("StopSandbox: %v", err)
		}
	}
	if r := leaktest.Receive(t, waited); r.GetExitedAt() == nil || r.ExitStatus != 0 {
		t.Errorf("WaitSandbox answered %v", r)
	}
	p.expect("stopped", map[string]error{
		"Platform": nil, "SandboxStatus": nil, "PingSandbox": away, "SandboxMetrics": away, "UpdateSandbox": early,
		"CreateSandbox": taken, "StartSandbox": early, "WaitSandbox": nil,
	})
	p.status("SANDBOX_NOTREADY", started.Pid)
	p.leave()
}

// status checks what a pod says of itself.
func (p *podShim) status(state string, vmm uint32) {
	p.t.Helper()
	r, err := p.api.SandboxStatus(within(p.t), &sandboxapi.SandboxStatusRequest{SandboxID: "pod", Verbose: true})
	if err != nil {
		p.t.Fatal(err)
	}
	ended := state == "SANDBOX_NOTREADY"
	if r.State != state || r.Pid != vmm || r.CreatedAt == nil || (r.ExitedAt != nil) != ended {
		p.t.Errorf("SandboxStatus answered %v", r)
	}
	for _, key := range []string{"hypervisor", "hypervisor_version", "accelerator", "vcpus", "memory_mib", "state_dir", "cgroup", "config", "started_at", "start_ms", "labels"} {
		if r.Info[key] == "" {
			p.t.Errorf("the status does not tell %s: %v", key, r.Info)
		}
	}
	p.t.Logf("info: %v", r.Info)
}

// container runs one in the pod, whose /etc and sysctls come from the pod's
// configuration, and shows that its end is not the shim's.
func (p *podShim) container() {
	t := p.t
	bundle := p.n.bundle(t, tasks, "c", nil)
	rootfs(t, bundle)
	p.n.spec(t, bundle, "/bin/busybox", "sh", "-c", "cd /; for f in etc/hostname etc/hosts etc/resolv.conf proc/sys/net/ipv4/ip_local_port_range; do busybox cat $f; done; busybox hostname; busybox df -k /dev/shm | busybox tail -n 1")
	p.member(bundle)
	stdout, reader := outputs(t, bundle, "stdout")
	ctx := within(t)
	if _, err := p.task.Create(ctx, &taskv3.CreateTaskRequest{ID: "c", Bundle: bundle, Stdout: stdout}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.task.Start(ctx, &taskv3.StartRequest{ID: "c"}); err != nil {
		t.Fatal(err)
	}
	waited, err := p.task.Wait(ctx, &taskv3.WaitRequest{ID: "c"})
	text, readErr := io.ReadAll(reader)
	if err != nil || waited.ExitStatus != 0 || readErr != nil {
		t.Errorf("Wait answered %v, error %v; %v", waited, err, readErr)
	}
	for _, want := range []string{"named-pod\n127.0.0.1\tlocalhost\n", "127.0.1.1\tnamed-pod\n", "search pods.test\nnameserver 192.0.2.53\n", "20000\t30000\nnamed-pod\n", "65536"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the container says %q, which lacks %q", text, want)
		}
	}
	if _, err := p.task.Delete(ctx, &taskv3.DeleteRequest{ID: "c"}); err != nil {
		t.Error(err)
	}
	if _, err := p.task.Shutdown(ctx, &taskv3.ShutdownRequest{ID: "c"}); err != nil {
		t.Errorf("Shutdown of the last container: %v", err)
	}
	if err := os.RemoveAll(bundle); err != nil {
		t.Error(err)
	}
	p.expect("running, without containers", map[string]error{"PingSandbox": nil, "SandboxStatus": nil})
}

// member makes the spec in the bundle that of a container of the pod, with the
// pod's /dev/shm.
func (p *podShim) member(bundle string) {
	p.t.Helper()
	path := filepath.Join(bundle, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		p.t.Fatal(err)
	}
	var spec specs.Spec
	if err := json.Unmarshal(text, &spec); err != nil {
		p.t.Fatal(err)
	}
	spec.Hostname = ""
	spec.Annotations = map[string]string{"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "pod"}
	spec.Mounts = append(spec.Mounts, specs.Mount{Destination: "/dev/shm", Type: "bind", Source: "/dev/shm", Options: []string{"rbind", "ro"}})
	if text, err = json.Marshal(spec); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// leave shuts the pod down and looks for what it left.
func (p *podShim) leave() {
	p.t.Helper()
	_, _ = p.api.ShutdownSandbox(within(p.t), &sandboxapi.ShutdownSandboxRequest{SandboxID: "pod"}) // the answer may be cut off
	gone(p.t, p.pid)
	p.n.delete(p.t, p.bundle, "pod")
	p.n.nothingLeft(p.t)
}
