// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/katapod/katapod/integration/node"
)

// Why a pod died is told to those who look at it, as far as the engine lets through: containerd's exit is a code, and
// kubelet reads the rest from the container's message. By the Sandbox API the pod itself tells.
func TestDeathIsExplained(t *testing.T) {
	if shared.runtime == "runc" {
		t.Skip("runc has no virtual machine that could die")
	}
	for _, handler := range []string{"kata", node.SandboxAPIHandler} {
		t.Run(handler, func(t *testing.T) {
			pod := startPod(t, node.Pod{Name: "explained-" + handler, Handler: handler})
			message := filepath.Join(t.TempDir(), "message")
			if err := os.WriteFile(message, nil, 0o666); err != nil {
				t.Fatal(err)
			}
			id := pod.start(node.Container{
				Name: "main", Args: []string{"probe", "pause"},
				Mounts: []node.Mount{{ContainerPath: "/dev/termination-log", HostPath: message}},
			})
			var inspected struct{ Info struct{ PID int } }
			if err := shared.CrictlJSON(pod.ctx, &inspected, "inspectp", pod.id); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(inspected.Info.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			pod.waitExited(id)
			if code := pod.exitCode(id); code != 137 {
				t.Errorf("the container's exit code is %d", code)
			}
			// The first word may be that the agent's connection broke.
			waitFor(t, soon, "[vmm-died] in the container's message", func() bool {
				text, err := os.ReadFile(message)
				if err != nil || len(text) == 0 {
					t.Fatalf("the container's message is %q after its end, error %v", text, err)
				}
				return strings.Contains(string(text), "[vmm-died]") && strings.Contains(string(text), "killed by signal 9")
			})
			if handler == node.SandboxAPIHandler {
				pod.tellsFailure("[vmm-died]")
			}
		})
	}
}

// tellsFailure waits until the pod's status tells why it died.
func (p *pod) tellsFailure(says string) {
	p.t.Helper()
	waitFor(p.t, soon, says+" in crictl inspectp", func() bool {
		var inspected struct{ Failure string }
		if err := shared.CrictlJSON(p.ctx, &inspected, "inspectp", p.id); err != nil {
			p.t.Fatal(err)
		}
		return strings.Contains(inspected.Failure, says)
	})
}
