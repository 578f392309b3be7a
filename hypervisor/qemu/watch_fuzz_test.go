// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/internal/tail"
	"github.com/katapod/katapod/hypervisor/qemu/qmp"
)

// FuzzEvents hands any two events and any console to an instance whose process has
// ended: there is a cause, in text, and nothing blocks.
func FuzzEvents(f *testing.F) {
	f.Add("SHUTDOWN", []byte(`{"guest": true, "reason": "guest-reset"}`), "DEVICE_DELETED", []byte(`{"device": "d", "path": "/machine/peripheral/d"}`), "")
	f.Add("GUEST_PANICKED", []byte(`{"action": "pause"}`), "MIGRATION", []byte(`{"status": "completed"}`), "Kernel panic - not syncing: \u00e4")
	f.Add("DEVICE_UNPLUG_GUEST_ERROR", []byte(`[]`), "MIGRATION", []byte(`{"status": "failed"}`), "\xff\x1b")
	f.Add("", []byte(""), "", []byte(""), "Kernel panic - not syncing: "+strings.Repeat("\u00e4 ", 100)[1:])
	f.Add("RESET", []byte(`{"reason": 7}`), "", []byte(""), "x")
	f.Fuzz(func(t *testing.T, name string, data []byte, name2 string, data2 []byte, console string) {
		exited := make(chan struct{})
		close(exited)
		i := &instance{
			proc: &process{log: tail.New(logTail), exited: exited}, res: &resources{}, migrated: make(chan string, 1),
			console: tail.New(consoleTail), notes: newNotes(), devices: newDevices(hypervisor.Config{HotplugSlots: 1}),
		}
		if _, err := i.devices.reserve("d"); err != nil {
			t.Fatal(err)
		}
		for range 3 { // more than anything has room for
			i.handle(qmp.Event{Name: name, Data: data})
			i.handle(qmp.Event{Name: name2, Data: data2})
		}
		_, _ = i.console.Write([]byte(console))
		if line := panicLine(i.console.String()); !utf8.ValidString(line) {
			t.Fatalf("the panic is %q", line)
		}
	})
}
