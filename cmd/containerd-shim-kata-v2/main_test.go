// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	bootapi "github.com/containerd/containerd/api/runtime/bootstrap/v1"
	taskv2 "github.com/containerd/containerd/api/runtime/task/v2"
	taskv3 "github.com/containerd/containerd/api/runtime/task/v3"
	"github.com/containerd/containerd/api/types"
	runtimeoptions "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/protocols/timeouts"
)

// envShim makes the test's binary behave as the shim's, also when it spawns
// itself.
const envShim = "KATAPOD_TEST_IS_SHIM"

func TestMain(m *testing.M) {
	if os.Getenv(envShim) != "" {
		main()
		os.Exit(0)
	}
	leaktest.Main(m)
}

// within is the context of a call to a shim: with the deadline of an engine.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeouts.Engine)
	t.Cleanup(cancel)
	return ctx
}

// node is what containerd would provide.
type node struct {
	dir, namespace string
}

func newNode(t *testing.T) node {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("the shim needs root")
	}
	dir, err := os.MkdirTemp("", "kp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return node{dir: dir, namespace: "testing"}
}

func (n node) socketDir() string { return filepath.Join(n.dir, "s") }

// bundle makes a bundle with a log FIFO that somebody reads. Without
// annotations there is no config.json when parent is the sandbox controller's.
func (n node) bundle(t *testing.T, parent, id string, annotations map[string]string) string {
	t.Helper()
	dir := filepath.Join(n.dir, parent, n.namespace, id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "log")
	if err := unix.Mkfifo(log, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(log, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reader.Close() })
	if parent == sandboxes {
		return dir
	}
	spec, err := json.Marshal(map[string]any{"ociVersion": "1.2.0", "annotations": annotations})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), spec, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

const (
	tasks     = "io.containerd.runtime.v2.task"
	sandboxes = "io.containerd.sandbox.controller.v1.shim"
)

// run calls the shim's binary and returns what containerd would take for its
// answer: stdout and stderr together.
func (n node) run(t *testing.T, bundle, id string, stdin []byte, args ...string) ([]byte, error) {
	t.Helper()
	all := append([]string{"-namespace", n.namespace, "-address", n.dir + "/c.sock", "-publish-binary", "containerd", "-id", id}, args...)
	cmd := exec.Command("/proc/self/exe", all...)
	cmd.Dir = bundle
	cmd.Env = append(os.Environ(), envShim+"=1", "TTRPC_ADDRESS=")
	cmd.Stdin = bytes.NewReader(stdin)
	return cmd.CombinedOutput()
}

func (n node) bootstrap(t *testing.T, id string) []byte {
	t.Helper()
	dir := n.socketDir()
	params := &bootapi.BootstrapParams{
		InstanceID: id, Namespace: n.namespace, ContainerdVersion: "2.4.2",
		ContainerdGrpcAddress: n.dir + "/c.sock", SocketDir: &dir,
	}
	if err := params.AddExtension(&runtimeoptions.Options{ConfigPath: "/nonexistent.toml"}); err != nil {
		t.Fatal(err)
	}
	return encode(t, params)
}

func encode(t *testing.T, m proto.Message) []byte {
	t.Helper()
	out, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (n node) start(t *testing.T, bundle, id string) *bootapi.BootstrapResult {
	t.Helper()
	out, err := n.run(t, bundle, id, n.bootstrap(t, id), "start")
	if err != nil {
		t.Fatalf("start: %v: %s", err, out)
	}
	var result bootapi.BootstrapResult
	if err := proto.Unmarshal(out, &result); err != nil {
		t.Fatalf("start answered %q: %v", out, err)
	}
	return &result
}

func connect(t *testing.T, address string) *ttrpc.Client {
	t.Helper()
	conn, err := net.Dial("unix", strings.TrimPrefix(address, "unix://"))
	if err != nil {
		t.Fatal(err)
	}
	client := ttrpc.NewClient(conn)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// pid reads the serving process from the bundle, and makes sure it does not
// outlive the test.
func pid(t *testing.T, bundle string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(bundle, "shim.pid"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Kill(n, unix.SIGKILL) })
	return n
}

// gone waits for the end of a process that is not our child: its pidfd is readable then.
func gone(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return // it has been reaped
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	ended := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		n, err := unix.Poll(ended, int(time.Until(deadline).Milliseconds())+1)
		if n > 0 {
			return
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			t.Fatal(err)
		}
	}
	t.Fatalf("process %d is still there", pid)
}

func (n node) delete(t *testing.T, bundle, id string) *taskv3.DeleteResponse {
	t.Helper()
	out, err := n.run(t, bundle, id, nil, "-bundle", bundle, "delete")
	if err != nil {
		t.Fatalf("delete: %v: %s", err, out)
	}
	var resp taskv3.DeleteResponse
	if err := proto.Unmarshal(out, &resp); err != nil {
		t.Fatalf("delete answered %q: %v", out, err)
	}
	return &resp
}

func TestOneShimServesAPod(t *testing.T) {
	n := newNode(t)
	pod := n.bundle(t, tasks, "pod", map[string]string{"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "pod"})
	result := n.start(t, pod, "pod")
	server := pid(t, pod)
	if result.Version != 3 || result.Protocol != "ttrpc" || !strings.HasPrefix(result.Address, "unix://"+n.socketDir()) {
		t.Errorf("start answered %v", result)
	}
	var caps types.MountCapabilities
	if found, err := result.FindExtension(&caps); err != nil || !found || len(caps.Types) == 0 {
		t.Errorf("mount capabilities %v, error %v", &caps, err)
	}
	member := n.bundle(t, tasks, "member", map[string]string{"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "pod"})
	if second := n.start(t, member, "member"); second.Address != result.Address {
		t.Errorf("the pod's second container got %s, its first %s", second.Address, result.Address)
	}
	client := connect(t, result.Address)
	v3 := taskv3.NewTTRPCTaskClient(client)
	answer, err := v3.Connect(within(t), &taskv3.ConnectRequest{ID: "pod"})
	if err != nil || answer.ShimPid != uint32(server) {
		t.Errorf("Connect answered %v, error %v; the shim is %d", answer, err, server)
	}
	v2 := taskv2.NewTTRPCTaskClient(client)
	if _, err := v2.State(within(t), &taskv2.StateRequest{ID: "pod"}); !errdefs.IsNotFound(errgrpc.ToNative(err)) {
		t.Errorf("State of an unknown container by version 2: %v", err)
	}
	if resp := n.delete(t, member, "member"); resp.ExitStatus != 137 {
		t.Errorf("delete of a member answered %v", resp)
	}
	if err := unix.Kill(server, 0); err != nil {
		t.Errorf("delete of a member ended the pod's shim: %v", err)
	}
	_, _ = v3.Shutdown(within(t), &taskv3.ShutdownRequest{ID: "pod"}) // the answer may be cut off
	gone(t, server)
	if left, err := os.ReadDir(n.socketDir()); err != nil || len(left) != 0 {
		t.Errorf("the shim left %v, error %v", left, err)
	}
	for range 2 {
		if resp := n.delete(t, pod, "pod"); resp.ExitStatus != 137 || resp.ExitedAt.AsTime().IsZero() || resp.Pid != uint32(server) {
			t.Errorf("delete answered %v", resp)
		}
	}
}

func TestAFailedCreateTellsWhyAndLeavesNothing(t *testing.T) {
	n := newNode(t)
	b := n.bundle(t, tasks, "lone", nil)
	result := n.start(t, b, "lone")
	server := pid(t, b)
	client := taskv3.NewTTRPCTaskClient(connect(t, result.Address))
	_, err := client.Create(within(t), &taskv3.CreateTaskRequest{ID: "lone", Bundle: b})
	if err == nil || !strings.Contains(err.Error(), "/nonexistent.toml") {
		t.Errorf("Create with a configuration that does not exist: %v", err)
	}
	_, err = client.Delete(within(t), &taskv3.DeleteRequest{ID: "lone"})
	if !errdefs.IsNotFound(errgrpc.ToNative(err)) {
		t.Errorf("Delete after a failed Create: %v", err)
	}
	_, _ = client.Shutdown(within(t), &taskv3.ShutdownRequest{ID: "lone"}) // the answer may be cut off
	gone(t, server)
}

func TestDeleteAfterTheShimWasKilled(t *testing.T) {
	n := newNode(t)
	b := n.bundle(t, tasks, "lone", nil)
	n.start(t, b, "lone")
	server := pid(t, b)
	if err := unix.Kill(server, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	gone(t, server)
	if resp := n.delete(t, b, "lone"); resp.ExitStatus != 137 {
		t.Errorf("delete answered %v", resp)
	}
	if left, err := os.ReadDir(n.socketDir()); err != nil || len(left) != 0 {
		t.Errorf("delete left %v, error %v", left, err)
	}
	// The same id may be used again at once.
	n.start(t, b, "lone")
	if again := pid(t, b); again == server {
		t.Error("no new shim was started")
	}
}

func TestDeleteKillsAShimThatDoesNotLeave(t *testing.T) {
	n := newNode(t)
	b := n.bundle(t, tasks, "lone", nil)
	n.start(t, b, "lone")
	server := pid(t, b)
	if err := unix.Kill(server, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	n.delete(t, b, "lone")
	gone(t, server)
}

func TestLegacyDialects(t *testing.T) {
	options := encode(t, &runtimeoptions.Options{ConfigPath: "/x.toml"})
	for name, stdin := range map[string][]byte{
		"empty":   nil,
		"options": encode(t, &anypb.Any{TypeUrl: "runtimeoptions.v1.Options", Value: options}),
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			b := n.bundle(t, tasks, "lone", nil)
			out, err := n.run(t, b, "lone", stdin, "start")
			if err != nil {
				t.Fatalf("start: %v: %s", err, out)
			}
			server := pid(t, b)
			if !strings.HasPrefix(string(out), "unix:///") || strings.ContainsAny(string(out), " \n") {
				t.Errorf("start answered %q, want an address alone", out)
			}
			client := taskv2.NewTTRPCTaskClient(connect(t, string(out)))
			if _, err := client.Connect(within(t), &taskv2.ConnectRequest{ID: "lone"}); err != nil {
				t.Error(err)
			}
			_, _ = client.Shutdown(within(t), &taskv2.ShutdownRequest{ID: "lone"}) // the answer may be cut off
			gone(t, server)
		})
	}
}

func TestSandboxAPIOfContainerd21(t *testing.T) {
	n := newNode(t)
	b := n.bundle(t, sandboxes, "pod", nil)
	out, err := n.run(t, b, "pod", nil, "start")
	if err != nil {
		t.Fatalf("start: %v: %s", err, out)
	}
	pid(t, b)
	var answer struct {
		Version           int
		Address, Protocol string
	}
	if err := json.Unmarshal(out, &answer); err != nil || answer.Version != 3 || answer.Protocol != "ttrpc" {
		t.Errorf("start answered %q, error %v", out, err)
	}
	n.delete(t, b, "pod")
}

func TestMemberOfAPodThatIsGone(t *testing.T) {
	n := newNode(t)
	b := n.bundle(t, tasks, "member", map[string]string{"io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.cri-o.SandboxID": "gone"})
	out, err := n.run(t, b, "member", n.bootstrap(t, "member"), "start")
	if err == nil || !strings.Contains(string(out), "its pod is gone, whose shim does not answer") {
		t.Errorf("start answered %q, error %v", out, err)
	}
}

func TestInfo(t *testing.T) {
	options := &anypb.Any{TypeUrl: "runtimeoptions.v1.Options", Value: encode(t, &runtimeoptions.Options{ConfigPath: "/x"})}
	for name, stdin := range map[string][]byte{"empty": nil, "options": encode(t, options)} {
		cmd := exec.Command("/proc/self/exe", "-info")
		cmd.Env = append(os.Environ(), envShim+"=1")
		cmd.Stdin = bytes.NewReader(stdin)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		var info types.RuntimeInfo
		if err := proto.Unmarshal(out, &info); err != nil {
			t.Fatal(err)
		}
		if info.Name != "io.containerd.kata.v2" || !json.Valid(info.Features.GetValue()) {
			t.Errorf("%s: info %v", name, &info)
		}
		if (stdin != nil) != proto.Equal(info.Options, options) {
			t.Errorf("%s: options come back as %v", name, info.Options)
		}
		want := "erofs,ext4,overlay,loop,format/*,mkfs/*,mkdir/*"
		if got := info.Annotations["containerd.io/runtime-allow-mounts"]; got != want {
			t.Errorf("%s: mounts %q, want %q", name, got, want)
		}
	}
}

func TestBadCommandLines(t *testing.T) {
	for _, args := range [][]string{{"start"}, {"-namespace", "x", "start"}, {"-nonsense"}} {
		cmd := exec.Command("/proc/self/exe", args...)
		cmd.Env = append(os.Environ(), envShim+"=1")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err == nil || len(out) != 0 || stderr.Len() == 0 {
			t.Errorf("%v: stdout %q, stderr %q, error %v", args, out, stderr.String(), err)
		}
	}
}
