// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"fmt"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
)

// devices knows which device is in which slot behind the bridge.
type devices struct {
	// mu guards what follows. It is not held while QEMU is asked.
	mu sync.Mutex
	// slots are those behind the bridge in order; nil is a free one.
	slots []*plugged
	// boot holds the device ids that are present at boot, which stay.
	boot map[string]bool
}

// plugged is a device behind the bridge.
type plugged struct {
	// device is QEMU's name for it.
	device string
	// slot counts from 0.
	slot int
	// ready says that the plugging is complete.
	ready bool
	// gone is closed when the guest has let go of the device.
	gone chan struct{}
	// refusals has one entry when the guest refused to let go.
	refusals chan struct{}
}

func newDevices(cfg hypervisor.Config) *devices {
	d := &devices{slots: make([]*plugged, max(cfg.HotplugSlots, 0)), boot: map[string]bool{}}
	if cfg.Image != "" {
		d.boot[diskDeviceID(imageID)] = true
	}
	for _, disk := range cfg.Disks {
		d.boot[diskDeviceID(disk.ID)] = true
	}
	for _, nic := range cfg.NICs {
		d.boot[nicDeviceID(nic.ID)] = true
	}
	for _, share := range cfg.Shares {
		d.boot[shareDeviceID(share.Tag)] = true
	}
	return d
}

// reserve takes a free slot for a device.
func (d *devices) reserve(device string) (*plugged, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	free := -1
	for i := len(d.slots) - 1; i >= 0; i-- {
		if d.slots[i] == nil {
			free = i
		} else if d.slots[i].device == device {
			return nil, fmt.Errorf("the VM has a device with this id already: %w", errdefs.ErrAlreadyExists)
		}
	}
	if d.boot[device] {
		return nil, fmt.Errorf("the VM has a device with this id since its boot: %w", errdefs.ErrAlreadyExists)
	}
	if free < 0 {
		return nil, fmt.Errorf("all %d slots for later devices are taken; configure more hot-plug slots: %w", len(d.slots), errdefs.ErrResourceExhausted)
	}
	p := &plugged{device: device, slot: free, gone: make(chan struct{}), refusals: make(chan struct{}, 1)}
	d.slots[free] = p
	return p, nil
}

// find returns a device whose plugging is complete.
func (d *devices) find(device string) (*plugged, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.slots {
		if p != nil && p.device == device && p.ready {
			return p, nil
		}
	}
	if d.boot[device] {
		return nil, fmt.Errorf("the device is there since the VM's boot and stays until its end: %w", errdefs.ErrFailedPrecondition)
	}
	return nil, fmt.Errorf("the VM has no device with this id: %w", errdefs.ErrNotFound)
}

// complete makes a reserved device known to find.
func (d *devices) complete(p *plugged) hypervisor.PCIPath {
	d.mu.Lock()
	defer d.mu.Unlock()
	p.ready = true
	return pathOfLater(p.slot)
}

// free gives a slot back.
func (d *devices) free(p *plugged) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.slots[p.slot] == p {
		d.slots[p.slot] = nil
	}
}

// deleted notes that the guest has let go of a device.
func (d *devices) deleted(device string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.slots {
		if p != nil && p.device == device {
			closeOnce(p.gone)
		}
	}
}

// refused notes that the guest would not let go of a device.
func (d *devices) refused(device string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.slots {
		if p != nil && p.device == device {
			select {
			case p.refusals <- struct{}{}:
			default: // One is enough.
			}
		}
	}
}

// closeOnce needs the lock that guards c.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}
