// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	bootapi "github.com/containerd/containerd/api/runtime/bootstrap/v1"
	runtimeoptions "github.com/containerd/containerd/api/types/runtimeoptions/v1"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/katapod/katapod/shim/podkind"
)

func encode(t *testing.T, m proto.Message) []byte {
	t.Helper()
	out, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestParams(t *testing.T) {
	dir := "/s"
	inv := Invocation{ID: "c", Namespace: "ns", Address: "/cli.sock"}
	options := &anypb.Any{TypeUrl: "runtimeoptions.v1.Options", Value: encode(t, &runtimeoptions.Options{ConfigPath: "/x.toml"})}
	boot := &bootapi.BootstrapParams{
		InstanceID: "c", Namespace: "ns", ContainerdGrpcAddress: "/c.sock", ContainerdTtrpcAddress: "/t.sock",
		SocketDir: &dir, LogLevel: bootapi.LogLevel_LOG_LEVEL_TRACE, Extensions: []*bootapi.Extension{{Value: options}},
	}
	foreign := &bootapi.BootstrapParams{InstanceID: "other", Namespace: "ns"}
	for name, test := range map[string]struct {
		stdin []byte
		want  Params
	}{
		"empty":                     {nil, Params{Dialect: Legacy, GRPCAddress: "/cli.sock"}},
		"options":                   {encode(t, options), Params{Dialect: Legacy, GRPCAddress: "/cli.sock", ConfigPath: "/x.toml"}},
		"runc's":                    {encode(t, &anypb.Any{TypeUrl: "containerd.runc.v1.Options"}), Params{Dialect: Legacy, GRPCAddress: "/cli.sock"}},
		"protobuf":                  {encode(t, boot), Params{Dialect: Protobuf, GRPCAddress: "/c.sock", TTRPCAddress: "/t.sock", SocketDir: "/s", ConfigPath: "/x.toml", Debug: true}},
		"another shim's parameters": {encode(t, foreign), Params{Dialect: Legacy, GRPCAddress: "/cli.sock"}},
	} {
		if got, err := ReadParams(bytes.NewReader(test.stdin), inv); err != nil || got != test.want {
			t.Errorf("%s: %+v, error %v", name, got, err)
		}
	}
	if _, err := ReadParams(strings.NewReader("\xff\xff"), inv); err == nil {
		t.Error("garbage was accepted")
	}
	broken := &anypb.Any{TypeUrl: "runtimeoptions.v1.Options", Value: []byte{0xff}}
	if _, err := ReadParams(bytes.NewReader(encode(t, broken)), inv); err == nil {
		t.Error("broken options were accepted")
	}
}

func TestResultDialects(t *testing.T) {
	for name, test := range map[string]struct {
		result  Result
		dialect Dialect
		want    string
	}{
		"bare address": {Result{2, "unix:///a"}, Legacy, "unix:///a"},
		"JSON":         {Result{3, "unix:///a"}, Legacy, `{"version":3,"address":"unix:///a","protocol":"ttrpc"}`},
	} {
		var out bytes.Buffer
		if err := test.result.Write(&out, test.dialect); err != nil || out.String() != test.want {
			t.Errorf("%s: %q, error %v", name, out.String(), err)
		}
	}
}

func TestTaskVersion(t *testing.T) {
	for _, test := range []struct {
		dialect    Dialect
		sandboxAPI bool
		want       int
	}{{Legacy, false, 2}, {Legacy, true, 3}, {Protobuf, false, 3}, {Protobuf, true, 3}} {
		if got := taskVersion(test.dialect, bundle{sandboxAPI: test.sandboxAPI}); got != test.want {
			t.Errorf("%+v: version %d", test, got)
		}
	}
}

func TestReadBundle(t *testing.T) {
	write := func(spec any) string {
		t.Helper()
		dir := t.TempDir()
		text, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	member := map[string]any{"annotations": map[string]string{"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "p"}}
	if b, err := readBundle(write(member), "c"); err != nil || b.kind != podkind.Member || b.pod != "p" || b.sandboxAPI {
		t.Errorf("a member: %+v, error %v", b, err)
	}
	if b, err := readBundle(t.TempDir(), "p"); err != nil || b.kind != podkind.Sandbox || !b.sandboxAPI {
		t.Errorf("a sandbox's bundle: %+v, error %v", b, err)
	}
	if _, err := readBundle(write("no object"), "c"); err == nil {
		t.Error("a spec that is no object was accepted")
	}
}

func TestSocketAddress(t *testing.T) {
	p := Params{GRPCAddress: "/c.sock", SocketDir: "/s"}
	a, err := socketAddress(p, "ns", "pod")
	if err != nil || !strings.HasPrefix(a, "unix:///s/") {
		t.Errorf("address %s, error %v", a, err)
	}
	if again, _ := socketAddress(p, "ns", "pod"); again != a {
		t.Errorf("the same pod has the addresses %s and %s", a, again)
	}
	p.GRPCAddress = "/other.sock"
	if other, _ := socketAddress(p, "ns", "pod"); other == a {
		t.Error("two containerds share an address")
	}
	p.SocketDir = "/" + strings.Repeat("x", 60)
	if _, err := socketAddress(p, "ns", "pod"); !errors.Is(err, errdefs.ErrInvalidArgument) {
		t.Errorf("an address that is too long: %v", err)
	}
}

func TestEndShimLeavesStrangersAlone(t *testing.T) {
	stranger := exec.Command("sleep", "60")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = stranger.Process.Kill()
		_ = stranger.Wait()
	}()
	if err := endShim(stranger.Process.Pid, "pod"); err != nil {
		t.Error(err)
	}
	if err := stranger.Process.Signal(unix.Signal(0)); err != nil {
		t.Errorf("a process that only has the shim's old id was ended: %v", err)
	}
	if err := endShim(0, "pod"); err != nil {
		t.Error(err)
	}
}

func TestDeleteReportsWhatCannotBeReleased(t *testing.T) {
	dir := t.TempDir()
	if err := RecordStateDir(dir, "/state"); err != nil {
		t.Fatal(err)
	}
	want := errors.New("busy")
	_, err := Delete(t.Context(), dir, "pod", func(_ context.Context, state string) error {
		if state != "/state" {
			t.Errorf("cleaned up %s", state)
		}
		return want
	})
	if !errors.Is(err, want) {
		t.Errorf("error %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "shim.pid"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Delete(t.Context(), dir, "pod", nil); err == nil {
		t.Error("a process id that is no number was accepted")
	}
}
