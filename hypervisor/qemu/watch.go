// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/qemu/qmp"
	"github.com/katapod/katapod/protocols/timeouts"
)

// notes is what events tell about the coming end of the VM.
type notes struct {
	// controlled is closed once the control channel may be used.
	controlled chan struct{}

	// mu guards what follows.
	mu       sync.Mutex
	panicked bool
	// reason is that of the SHUTDOWN event.
	reason string
	// unusable says that the accelerator failed.
	unusable bool
	extra    error
}

func newNotes() *notes { return &notes{controlled: make(chan struct{})} }

func (n *notes) update(f func(*notes)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(n)
}

func (n *notes) add(err error) {
	n.update(func(n *notes) { n.extra = errors.Join(n.extra, err) })
}

// handle takes an event from the control channel. It must not block.
func (i *instance) handle(e qmp.Event) {
	var data struct {
		Reason string `json:"reason"`
		Device string `json:"device"`
		Status string `json:"status"`
	}
	if len(e.Data) > 0 && json.Unmarshal(e.Data, &data) != nil {
		return // An event of a shape unknown here says nothing useful.
	}
	switch e.Name {
	case "GUEST_PANICKED":
		i.notes.update(func(n *notes) { n.panicked = true })
	case "SHUTDOWN":
		i.notes.update(func(n *notes) { n.reason = data.Reason })
	case "STOP":
		// It ends within timeouts.Kill.
		go i.afterStop()
	case "MIGRATION":
		i.noteMigration(data.Status)
	case "DEVICE_DELETED":
		i.devices.deleted(data.Device)
	case "DEVICE_UNPLUG_GUEST_ERROR":
		i.devices.refused(data.Device)
	}
}

// afterStop finds out why the vCPUs stopped. When the accelerator gave up, QEMU
// stays, holding a guest that will never run again: it is ended.
func (i *instance) afterStop() {
	select {
	case <-i.notes.controlled:
	case <-i.proc.exited:
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeouts.Kill)
	defer cancel()
	var status struct {
		Status string `json:"status"`
	}
	if i.qmp.Execute(ctx, "query-status", nil, &status) != nil || status.Status != "internal-error" {
		return
	}
	i.notes.update(func(n *notes) { n.unusable = true })
	if err := i.proc.kill(ctx); err != nil {
		i.notes.add(err)
	}
}

// watch waits for the end of the process and ends the VM's life.
func (vm *VM) watch(inst *instance) {
	select {
	case <-inst.proc.exited:
	case <-inst.qmp.Done():
		// QEMU closes its control channel when it ends; one that goes on
		// without is out of control.
		if !waitFor(inst.proc.exited, timeouts.LastWords) {
			inst.notes.add(errors.New("its control channel broke, so that it was killed"))
			inst.endNow()
		}
	}
	vm.dialer.end()
	inst.release()
	vm.forget()
	vm.life.End(hypervisor.Exit{
		At: time.Now(), Cause: inst.cause(), Console: inst.console.String(), Log: inst.proc.log.String(),
	})
}

// endNow kills the process and waits as long as it takes: the VM has not ended
// while its process has not.
func (i *instance) endNow() {
	if err := i.proc.cmd.Process.Kill(); err != nil {
		i.notes.add(err)
	}
	<-i.proc.exited
}

// cause is the sentence about why the process ended.
func (i *instance) cause() error {
	i.notes.mu.Lock()
	defer i.notes.mu.Unlock()
	n := i.notes
	text, kind := i.proc.ending(), error(nil)
	panicLine := panicLine(i.console.String())
	switch {
	case n.unusable:
		text = fmt.Sprintf("the accelerator %s is not usable on this host, it gave up on the guest's code; set the accelerator to tcg", i.res.in.accelerator)
		kind = hypervisor.ErrAcceleratorUnusable
	case n.panicked || panicLine != "":
		text = "guest panic: the guest's kernel panicked"
		if panicLine != "" {
			text += " (" + panicLine + ")"
		}
		kind = hypervisor.ErrGuestPanicked
	case n.reason == "guest-shutdown":
		text = "the guest powered itself off"
	case n.reason == "guest-reset":
		text = "the guest reset itself, which ends its VM: it rebooted, or crashed before it could say why"
	}
	if log := i.proc.log.String(); log != "" {
		text += fmt.Sprintf("; QEMU said: %q", log)
	}
	err := fmt.Errorf("%s: %w", text, errdefs.ErrUnavailable)
	if kind != nil {
		err = hypervisor.Because(kind, err)
	}
	return errors.Join(err, n.extra)
}

// panicLine is the kernel's own sentence about its panic on the console.
func panicLine(console string) string {
	const mark = "Kernel panic - not syncing: "
	_, rest, found := strings.Cut(console, mark)
	if !found {
		return ""
	}
	line, _, _ := strings.Cut(rest, "\n")
	const longest = 200
	return strings.ToValidUTF8(line[:min(len(line), longest)], "")
}
