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
	slotBridge = 30
)

// Devices that come later sit behind one conventional PCI bridge, where ACPI
// announces them. It costs a boot little, and the same for any number of slots.
// PCIe root ports hold one device each: under translation, 10 of them add 17 %
// to the processor time of a kernel's boot, 16 of them 27 %, and the bridge 4 %
// (medians of the ratios of 12 boots each to one with neither).
const (
	bridgeID = "later"
	// maxLater is the number of slots of a bus less slot 0, which is the hot-plug
	// controller's.
	maxLater = 31
)

// bus is the plan of the root bus: devices present at boot count up from
// firstFreeSlot to the bridge.
type bus struct{ next int }

func newBus() *bus { return &bus{next: firstFreeSlot} }

// take returns the slot for the next device that is present at boot.
func (b *bus) take() int {
	b.next++
	return b.next - 1
}

// laterSlot is the slot behind the bridge of later device i, counted from 0.
func laterSlot(i int) int { return i + 1 }

// checkSlots says whether all devices of cfg fit on the root bus.
func checkSlots(cfg hypervisor.Config) error {
	boot := len(cfg.Disks) + len(cfg.NICs) + len(cfg.Shares)
	if room := slotBridge - firstFreeSlot; boot > room {
		return fmt.Errorf("%d devices at boot do not fit the %d free slots of the VM's PCI bus; lower the number of interfaces: %w",
			boot, room, errdefs.ErrInvalidArgument)
	}
	if cfg.HotplugSlots < 0 || cfg.HotplugSlots > maxLater {
		return fmt.Errorf("%d slots for devices that come later: 0 to %d are possible: %w", cfg.HotplugSlots, maxLater, errdefs.ErrInvalidArgument)
	}
	return nil
}

// pathOfLater is where the guest finds later device i.
func pathOfLater(i int) hypervisor.PCIPath {
	return hypervisor.PCIPath(fmt.Sprintf("%02x/%02x", slotBridge, laterSlot(i)))
}
