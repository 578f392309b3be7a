// SPDX-License-Identifier: Apache-2.0

package sandboxns

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/agent/reaper"
	"github.com/katapod/katapod/integration/leaktest"
)

func TestMappedNamespaces(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("namespaces need root")
	}
	r, err := reaper.New()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	defer func() { cancel(); leaktest.Receive(t, done) }()

	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
	n, err := NewMapped("mapped", ids, ids, r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		anchor := filepath.Dir(filepath.Dir(n.PID))
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		awaitGone(t, anchor)
	}()
	if err := n.Set(map[string]string{"kernel.shmmni": "1234"}); err != nil {
		t.Error(err)
	}
	// What is made with the others in a user namespace belongs to it: root there
	// may change them.
	cmd := exec.Command("nsenter", "--user="+n.User, "--ipc="+n.IPC, "--uts="+n.UTS, "sh", "-c",
		"id -u; hostname; cat /proc/sys/kernel/shmmni; hostname changed && hostname; cat /proc/self/uid_map")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if code, err := r.RunCommand(cmd); err != nil || code != 0 {
		t.Fatal(code, err, out.String())
	}
	want := fmt.Sprintf("0\nmapped\n1234\nchanged\n%10d %10d %10d\n", 0, 100000, 65536)
	if out.String() != want {
		t.Errorf("in the user namespace: %q, want %q", out.String(), want)
	}
	if link(t, n.PID) == link(t, "/proc/self/ns/pid") {
		t.Error("the anchor is in the agent's PID namespace")
	}
}

func TestMapsThatAreNone(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("namespaces need root")
	}
	r, err := reaper.New()
	if err != nil {
		t.Fatal(err)
	}
	twice := []specs.LinuxIDMapping{{HostID: 1, Size: 10}, {HostID: 1, Size: 10}}
	if n, err := NewMapped("x", twice, twice, r); err == nil {
		t.Errorf("one id mapped twice gives %+v", n)
	}
}
