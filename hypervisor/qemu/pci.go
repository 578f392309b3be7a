// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"fmt"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
)

// Slots of the root bus that the driver's own devices take. Slot 0 is the host
// bridge and slot 31 the chipset's ISA bridge. The image comes before all other
// disks, since the guest numbers disks by slot and boots from the first.
const (
	slotChannel = 1 + iota
	slotRNG
	slotBalloon
	slotPanic
	slotImage
	firstFreeSlot
	endOfSlots = 31
)

// bus is the plan of the root bus: devices present at boot count up from
// firstFreeSlot, root ports for later ones take the slots below endOfSlots.
type bus struct {
	next  int
	ports int
}

func newBus(ports int) *bus {
	return &bus{next: firstFreeSlot, ports: ports}
}

// take returns the slot for the next device that is present at boot.
func (b *bus) take() int {
	b.next++
	return b.next - 1
}

// portSlot is the slot of root port i, counted from 0.
func (b *bus) portSlot(i int) int { return endOfSlots - b.ports + i }

// checkSlots says whether all devices of cfg fit on the root bus.
func checkSlots(cfg hypervisor.Config) error {
	boot := len(cfg.Disks) + len(cfg.NICs) + len(cfg.Shares)
	room := endOfSlots - firstFreeSlot
	if cfg.HotplugSlots < 0 || boot+cfg.HotplugSlots > room {
		return fmt.Errorf("%d devices at boot and %d slots for later ones do not fit the %d free slots of the VM's PCI bus; lower the number of slots or of volumes: %w",
			boot, cfg.HotplugSlots, room, errdefs.ErrInvalidArgument)
	}
	return nil
}

// pathBehind is where the guest finds the device in the root port at slot.
func pathBehind(slot int) hypervisor.PCIPath {
	return hypervisor.PCIPath(fmt.Sprintf("%02x/00", slot))
}
