// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"fmt"

	"github.com/katapod/katapod/hypervisor"
)

// The same maps describe a device on the command line and in QMP commands.

func nodeName(id string) string       { return "node-" + id }
func diskDeviceID(id string) string   { return "disk-" + id }
func netdevID(id string) string       { return "net-" + id }
func nicDeviceID(id string) string    { return "nic-" + id }
func chardevID(tag string) string     { return "share-" + tag }
func shareDeviceID(tag string) string { return "fs-" + tag }

// blockNode is QEMU's view of the file behind a disk.
func blockNode(d hypervisor.Disk, f diskFile) map[string]any {
	node := map[string]any{
		"driver": "raw", "node-name": nodeName(d.ID), "read-only": d.ReadOnly,
		"file": map[string]any{"driver": f.driver, "filename": f.name},
	}
	if !d.ReadOnly {
		// Blocks that the guest frees are given back to the host.
		node["discard"] = "unmap"
	}
	return node
}

// readAtOnce is the size in bytes in which a read-only disk is best read. Linux
// reads twice as much ahead. With its own 128 KiB an EROFS file was read at 280
// MB/s under translation, with 512 KiB at 800, with 2 MiB at 950; what a program's
// page fault reads around itself grows as well, and memory with it.
const readAtOnce = 256 << 10

// diskDevice is the guest's view of a disk.
func diskDevice(d hypervisor.Disk, bus string, slot int) map[string]any {
	dev := map[string]any{
		"driver": "virtio-blk-pci", "id": diskDeviceID(d.ID), "drive": nodeName(d.ID),
		"serial": d.ID, "disable-legacy": "on", "bus": bus, "addr": pciAddr(slot),
	}
	if d.ReadOnly {
		// Not of others: a file system that is made there would be laid out by it.
		dev["opt_io_size"] = readAtOnce
	}
	return dev
}

// nicDevice is the guest's view of a network device.
func nicDevice(n hypervisor.NIC, bus string, slot int) map[string]any {
	dev := map[string]any{
		"driver": "virtio-net-pci", "id": nicDeviceID(n.ID), "netdev": netdevID(n.ID),
		"mac": n.MAC, "romfile": "", "disable-legacy": "on", "bus": bus, "addr": pciAddr(slot),
	}
	if n.MTU != 0 {
		dev["host_mtu"] = n.MTU
	}
	if q := len(n.TapFDs); q > 1 {
		dev["mq"] = true
		// One interrupt for each queue, one for control, one for configuration.
		dev["vectors"] = 2*q + 2
	}
	return dev
}

// shareDevice is the guest's view of a share.
func shareDevice(s hypervisor.Share, bus string, slot int) map[string]any {
	size := s.QueueSize
	if size == 0 {
		size = 1024
	}
	return map[string]any{
		"driver": "vhost-user-fs-pci", "id": shareDeviceID(s.Tag), "chardev": chardevID(s.Tag), "tag": s.Tag,
		"queue-size": size, "bus": bus, "addr": pciAddr(slot),
	}
}

func pciAddr(slot int) string { return fmt.Sprintf("%#x", slot) }
