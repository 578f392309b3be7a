// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/internal/tail"
	"github.com/katapod/katapod/hypervisor/qemu/qmp"
	"github.com/katapod/katapod/integration/leaktest"
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
		is            error
	}{
		{"exit", "exit 3", nil, []string{"QEMU exited with status 3"}, nil},
		{"signal", "kill -SEGV $$", nil, []string{"killed by signal 11"}, nil},
		{"log", "exit 1", func(i *instance) { _, _ = i.proc.log.Write([]byte("qemu: no memory\n")) }, []string{"status 1", "no memory"}, nil},
		{"panic event", "exit 0", event("GUEST_PANICKED", `{"action": "shutdown"}`), []string{"guest panic"}, hypervisor.ErrGuestPanicked},
		{"panic on the console", "exit 0", func(i *instance) {
			_, _ = i.console.Write([]byte("[1.0] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n[1.1] CPU: 0\r\n"))
		}, []string{"guest panic", "(VFS: Unable to mount root fs)"}, hypervisor.ErrGuestPanicked},
		{"power off", "exit 0", event("SHUTDOWN", `{"guest": true, "reason": "guest-shutdown"}`), []string{"powered itself off"}, nil},
		{"reboot", "exit 0", event("SHUTDOWN", `{"guest": true, "reason": "guest-reset"}`), []string{"reset itself"}, nil},
		{"accelerator", "kill -KILL $$", func(i *instance) {
			i.notes.update(func(n *notes) { n.unusable = true })
		}, []string{"accelerator kvm is not usable", "set the accelerator to tcg"}, hypervisor.ErrAcceleratorUnusable},
		{"an event of another shape", "exit 4", event("SHUTDOWN", `[]`), []string{"status 4"}, nil},
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
			for _, kind := range []error{hypervisor.ErrGuestPanicked, hypervisor.ErrAcceleratorUnusable} {
				if errors.Is(err, kind) != (kind == tc.is) {
					t.Errorf("cause %v is %v: %v", err, kind, errors.Is(err, kind))
				}
			}
			for _, s := range tc.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("cause %q does not say %q", err, s)
				}
			}
		})
	}
}

// TestAcceleratorThatGivesUp plays QEMU's part when KVM fails on the guest's
// code: the vCPUs stop, the status is internal-error, the process stays.
func TestAcceleratorThatGivesUp(t *testing.T) {
	for status, wantEnd := range map[string]bool{"internal-error": true, "paused": false} {
		t.Run(status, func(t *testing.T) {
			res := &resources{in: inputs{accelerator: "kvm"}}
			t.Cleanup(func() { res.close(false) })
			var err error
			if res.console, _, err = res.pair("console"); err != nil {
				t.Fatal(err)
			}
			control, _, err := res.pair("control")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(res.closeInherited)
			proc, err := spawn("/bin/sleep", []string{"60"}, nil, (*exec.Cmd).Start)
			if err != nil {
				t.Fatal(err)
			}
			inst := newInstance(proc, res, hypervisor.Config{})
			answered := make(chan struct{})
			go playQEMU(res.inherited[1], status, answered)
			if inst.qmp, _, err = qmp.New(t.Context(), control, inst.handle); err != nil {
				t.Fatal(err)
			}
			close(inst.notes.controlled)
			inst.handle(qmp.Event{Name: "STOP"})
			leaktest.Receive(t, answered)
			limit := 100 * time.Millisecond // for an end that should not come
			if wantEnd {
				limit = patience
			}
			if ended := waitFor(proc.exited, limit); ended != wantEnd {
				t.Errorf("the process has ended: %v, want %v", ended, wantEnd)
			}
			inst.discard()
			if said := strings.Contains(inst.cause().Error(), "set the accelerator to tcg"); said != wantEnd {
				t.Errorf("cause %v", inst.cause())
			}
		})
	}
}

// playQEMU greets, negotiates, and answers one query-status.
func playQEMU(f *os.File, status string, answered chan<- struct{}) {
	_, _ = f.WriteString(`{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}}}}` + "\n")
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var r struct {
			Execute string
			ID      int
		}
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			return
		}
		_, _ = fmt.Fprintf(f, `{"return": {"status": %q}, "id": %d}`+"\n", status, r.ID)
		if r.Execute == "query-status" {
			close(answered)
			return
		}
	}
}
