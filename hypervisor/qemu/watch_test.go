// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/internal/tail"
	"github.com/katapod/katapod/hypervisor/qemu/qmp"
)

// ended is an instance whose process has ended as the shell command says.
func ended(t *testing.T, command string) *instance {
	t.Helper()
	cmd := exec.Command("sh", "-c", command)
	status := cmd.Run()
	exited := make(chan struct{})
	close(exited)
	return &instance{
		proc:    &process{cmd: cmd, log: tail.New(logTail), exited: exited, status: status},
		res:     &resources{in: inputs{accelerator: "kvm"}},
		console: tail.New(consoleTail), notes: newNotes(), devices: newDevices(hypervisor.Config{}),
	}
}

func TestCause(t *testing.T) {
	event := func(name, data string) func(*instance) {
		return func(i *instance) { i.handle(qmp.Event{Name: name, Data: []byte(data)}) }
	}
	for _, tc := range []struct {
		name, command string
		change        func(*instance)
		says          []string
	}{
		{"exit", "exit 3", nil, []string{"QEMU exited with status 3"}},
		{"signal", "kill -SEGV $$", nil, []string{"killed by signal 11"}},
		{"log", "exit 1", func(i *instance) { _, _ = i.proc.log.Write([]byte("qemu: no memory\n")) }, []string{"status 1", "no memory"}},
		{"panic event", "exit 0", event("GUEST_PANICKED", `{"action": "shutdown"}`), []string{"guest panic"}},
		{"panic on the console", "exit 0", func(i *instance) {
			_, _ = i.console.Write([]byte("[1.0] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n[1.1] CPU: 0\r\n"))
		}, []string{"guest panic", "(VFS: Unable to mount root fs)"}},
		{"power off", "exit 0", event("SHUTDOWN", `{"guest": true, "reason": "guest-shutdown"}`), []string{"powered itself off"}},
		{"reboot", "exit 0", event("SHUTDOWN", `{"guest": true, "reason": "guest-reset"}`), []string{"rebooted"}},
		{"accelerator", "kill -KILL $$", func(i *instance) {
			i.notes.update(func(n *notes) { n.unusable = true })
		}, []string{"accelerator kvm is not usable", "set the accelerator to tcg"}},
		{"an event of another shape", "exit 4", event("SHUTDOWN", `[]`), []string{"status 4"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			i := ended(t, tc.command)
			if tc.change != nil {
				tc.change(i)
			}
			err := i.cause()
			if !errors.Is(err, errdefs.ErrUnavailable) {
				t.Errorf("cause %v is not ErrUnavailable", err)
			}
			for _, s := range tc.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("cause %q does not say %q", err, s)
				}
			}
		})
	}
}
