// SPDX-License-Identifier: Apache-2.0

package hypervisortest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
)

// plugger is what disks and network devices have in common.
type plugger struct {
	plug   func(ctx context.Context, id string) (hypervisor.PCIPath, error)
	unplug func(ctx context.Context, id string) error
}

func disks(t *testing.T, d Driver) {
	vm := up(t, d)
	p, err := hypervisor.AsDiskPlugger(vm)
	if err != nil {
		isError(t, "disk hot-plug", err, errdefs.ErrNotImplemented)
		return
	}
	plugging(t, plugger{
		plug: func(ctx context.Context, id string) (hypervisor.PCIPath, error) {
			return p.PlugDisk(ctx, disk(t, id))
		},
		unplug: p.UnplugDisk,
	})
	mustEcho(t, vm)
}

func nics(t *testing.T, d Driver) {
	vm := up(t, d)
	p, err := hypervisor.AsNICPlugger(vm)
	if err != nil {
		isError(t, "NIC hot-plug", err, errdefs.ErrNotImplemented)
		return
	}
	count := 0
	plugging(t, plugger{
		plug: func(ctx context.Context, id string) (hypervisor.PCIPath, error) {
			count++
			mac := fmt.Sprintf("02:00:00:00:00:%02x", count)
			return p.PlugNIC(ctx, hypervisor.NIC{ID: id, MAC: mac, MTU: 1400, TapFDs: []int{TAP(t)}})
		},
		unplug: p.UnplugNIC,
	})
	mustEcho(t, vm)
}

// shares plugs and unplugs as disks are, each share with a daemon of its own.
func shares(t *testing.T, d Driver) {
	vm := startedWith(t, d, func(c *hypervisor.Config) { c.LaterShares = true })
	mustEcho(t, vm)
	p, err := hypervisor.AsSharePlugger(vm)
	if err != nil {
		isError(t, "share hot-plug", err, errdefs.ErrNotImplemented)
		return
	}
	plugging(t, plugger{
		plug: func(ctx context.Context, id string) (hypervisor.PCIPath, error) {
			return p.PlugShare(ctx, d.Share(t, id))
		},
		unplug: p.UnplugShare,
	})
	mustEcho(t, vm)
}

func sharesUnpromised(t *testing.T, d Driver) {
	vm := up(t, d)
	p, err := hypervisor.AsSharePlugger(vm)
	if err != nil {
		isError(t, "share hot-plug", err, errdefs.ErrNotImplemented)
		return
	}
	_, err = p.PlugShare(short(t), d.Share(t, "share"))
	isError(t, "a share without LaterShares", err, errdefs.ErrFailedPrecondition)
	mustEcho(t, vm)
}

func plugging(t *testing.T, p plugger) {
	t.Helper()
	ctx := short(t)
	isError(t, "unplug what is not there", p.unplug(ctx, "absent"), errdefs.ErrNotFound)
	seen := map[hypervisor.PCIPath]bool{}
	for i := range slots {
		path, err := p.plug(ctx, fmt.Sprintf("dev%d", i))
		if err != nil {
			t.Fatalf("plug %d: %v", i, err)
		}
		if !regexp.MustCompile(`^[0-9a-f]{2}/[0-9a-f]{2}$`).MatchString(string(path)) || seen[path] {
			t.Errorf("place %q of device %d is malformed or taken: %v", path, i, seen)
		}
		seen[path] = true
	}
	_, err := p.plug(ctx, "dev0")
	isError(t, "plug an id twice", err, errdefs.ErrAlreadyExists)
	_, err = p.plug(ctx, "more")
	isError(t, "plug more than there are slots", err, errdefs.ErrResourceExhausted)
	isError(t, "unplug what was refused", p.unplug(ctx, "more"), errdefs.ErrNotFound)
	if err := p.unplug(ctx, "dev0"); err != nil {
		t.Fatalf("unplug: %v", err)
	}
	isError(t, "unplug twice", p.unplug(ctx, "dev0"), errdefs.ErrNotFound)
	path, err := p.plug(ctx, "dev0")
	if err != nil || !seen[path] {
		t.Fatalf("plug again: %q, %v", path, err)
	}
	for i := range slots {
		if err := p.unplug(ctx, fmt.Sprintf("dev%d", i)); err != nil {
			t.Errorf("unplug %d: %v", i, err)
		}
	}
}

func pause(t *testing.T, d Driver) {
	vm := up(t, d)
	p, err := hypervisor.AsPauser(vm)
	if err != nil {
		isError(t, "pause", err, errdefs.ErrNotImplemented)
		return
	}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{{"pause", p.Pause}, {"pause again", p.Pause}, {"resume", p.Resume}, {"resume again", p.Resume}} {
		if err := step.do(short(t)); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
	}
	mustEcho(t, vm)
}

// disk is a small empty disk.
func disk(t testing.TB, id string) hypervisor.Disk {
	t.Helper()
	path := filepath.Join(t.TempDir(), id)
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	return hypervisor.Disk{ID: id, Path: path}
}
