// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/accel"
)

// inputs is what the command line needs to know besides the configuration:
// what the host offers, and under which numbers QEMU inherits descriptors.
type inputs struct {
	// accelerator is "kvm" or "tcg".
	accelerator string
	// control, console and channel are descriptors of the control channel, of
	// the guest's console, and of the guest channel's listening socket.
	control, console, channel int
	// vsock is a vhost-vsock descriptor that owns context id cid. cid 0 means
	// that the host has none and the serial channel is used.
	vsock int
	cid   uint32
	// memory says that the memory is a file in QEMU's root directory, memoryFile.
	memory bool
	// sets are descriptors that QEMU opens again by the name of a set, setName.
	sets []int
	// disks are the files of disks by the disks' ids.
	disks map[string]diskFile
	// entropy is the name of the source of random numbers.
	entropy string
	// shares are connections to the daemons of shares by tag.
	shares map[string]int
	// queues are the descriptors of each NIC, by its id.
	queues map[string]queueFDs
}

// queueFDs are the descriptors of one NIC as QEMU inherits them.
type queueFDs struct{ tap, vhost []int }

// commandLine is the whole of QEMU's arguments. It is pure.
func commandLine(cfg hypervisor.Config, in inputs) []string {
	args := []string{
		"-name", quote("katapod-" + cfg.ID),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-S",
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
	}
	for _, fd := range in.sets {
		args = append(args, "-add-fd", fmt.Sprintf("fd=%d,set=%d", fd, fd))
	}
	args = append(args, machineArgs(cfg, in)...)
	args = append(args, kernelArgs(cfg, in)...)
	args = append(args, channelArgs(in)...)
	args = append(args,
		"-device", at("virtio-rng-pci,rng=entropy", slotRNG),
		"-object", "rng-random,id=entropy,filename="+quote(in.entropy),
		"-device", at("virtio-balloon-pci,id=balloon,free-page-reporting="+onOff(cfg.FreePageReporting)+",deflate-on-oom=on", slotBalloon),
		"-device", at("pvpanic-pci", slotPanic),
	)
	if cfg.Image != "" {
		image := hypervisor.Disk{ID: imageID, Path: cfg.Image, ReadOnly: true}
		args = append(args, diskArgs(image, in.disks[image.ID], slotImage)...)
	}
	b := newBus()
	for _, d := range cfg.Disks {
		args = append(args, diskArgs(d, in.disks[d.ID], b.take())...)
	}
	for _, n := range cfg.NICs {
		args = append(args, nicArgs(n, in.queues[n.ID], b.take())...)
	}
	for _, s := range cfg.Shares {
		args = append(args, shareArgs(s, in.shares[s.Tag], b.take())...)
	}
	args = append(args, bridgeArgs(cfg)...)
	return append(args, snapshotArgs(cfg, in)...)
}

// translationMiB bounds the code that QEMU's translator keeps, in MiB; without a
// bound it is an eighth of the host's memory, at most 1 GiB. A pod's overhead on
// the host counts on it. The start of a pod and a few execs fill 53 MiB, and 64 are as
// fast as 128; with 32, where the code is thrown away once on the way, a start takes
// 1.4 times the processor time.
const translationMiB = 64

// emulatedCPU has all that the translator can do but "fast" string instructions:
// it does them a byte at a time. Without the flags kernel, C library and Go move
// eight or sixteen bytes at once, which measured six times as fast (137 against
// 819 MB/s), and nearly all of the kernel's copying and clearing is that.
const emulatedCPU = "max,-erms,-fsrm"

func machineArgs(cfg hypervisor.Config, in inputs) []string {
	// What a container's VM has no use for is left out of the machine.
	machine := machineName(cfg) + ",usb=off,sata=off,smbus=off,vmport=off,dump-guest-core=off"
	accel, model := "kvm", "host"
	if in.accelerator == "tcg" {
		accel, model = "tcg,thread=multi,tb-size="+strconv.Itoa(translationMiB), emulatedCPU
	}
	if cfg.CPUFeatures != "" {
		model += "," + cfg.CPUFeatures
	}
	memory := strconv.Itoa(cfg.MemoryMiB) + "M"
	size := memory
	if grows(cfg) {
		size = fmt.Sprintf("size=%s,slots=%d,maxmem=%dM", memory, cfg.MemorySlots, cfg.MaxMemoryMiB)
	}
	smp := strconv.Itoa(cfg.VCPUs)
	if cfg.MaxVCPUs > cfg.VCPUs {
		smp += fmt.Sprintf(",maxcpus=%d", cfg.MaxVCPUs)
	}
	return []string{
		"-machine", machine + ",memory-backend=memory", "-accel", accel, "-cpu", model,
		"-smp", smp, "-m", size, "-object", memoryBackend(cfg, in) + ",id=memory,size=" + memory,
	}
}

// memoryBackend is what the guest's memory is made of. A clone finds its memory
// by the name of the object, whatever kind it is.
func memoryBackend(cfg hypervisor.Config, in inputs) string {
	switch {
	case in.memory:
		return "memory-backend-file,share=on,mem-path=" + memoryFile
	case mayShare(cfg):
		// A file system daemon reads and writes guest memory itself.
		return "memory-backend-memfd,share=on"
	}
	return "memory-backend-ram"
}

// mayShare tells whether the VM has a share now or may have one later.
func mayShare(cfg hypervisor.Config) bool { return cfg.LaterShares || len(cfg.Shares) > 0 }

// snapshotArgs are those of a VM that is saved or was. The generation device
// tells the guest's kernel that it is a clone, and has it renew its random
// numbers. Under translation the guest goes without: interpreting the ACPI method
// that announces it is a sixth of the code that a clone runs before it answers,
// and whoever clones renews them through the agent in any case.
func snapshotArgs(cfg hypervisor.Config, in inputs) []string {
	var args []string
	if in.accelerator != accel.TCG && (cfg.SaveTo != nil || cfg.From != nil) {
		args = append(args, "-device", "vmgenid,guid=auto")
	}
	if cfg.From != nil {
		args = append(args, "-incoming", "defer")
	}
	return args
}

// machineName is the machine type; see preflight for what is allowed.
func machineName(cfg hypervisor.Config) string {
	if cfg.Machine == "" {
		return "q35"
	}
	return cfg.Machine
}

func kernelArgs(cfg hypervisor.Config, in inputs) []string {
	args := []string{"-kernel", kernelFile, "-append", kernelParams(cfg, in.accelerator)}
	if cfg.Initrd != "" {
		args = append(args, "-initrd", initrdFile)
	}
	return args
}

func channelArgs(in inputs) []string {
	args := []string{
		"-chardev", fmt.Sprintf("socket,id=control,fd=%d", in.control),
		"-mon", "chardev=control,mode=control",
		"-chardev", fmt.Sprintf("socket,id=console,fd=%d", in.console),
		"-serial", "chardev:console",
	}
	if in.cid != 0 {
		return append(args, "-device",
			at(fmt.Sprintf("vhost-vsock-pci,vhostfd=%d,guest-cid=%d", in.vsock, in.cid), slotChannel))
	}
	return append(args,
		"-chardev", fmt.Sprintf("socket,id=channel,fd=%d,server=on,wait=off", in.channel),
		"-device", at("virtio-serial-pci,id=serial", slotChannel),
		"-device", "virtserialport,bus=serial.0,chardev=channel,name="+channelPort)
}

func diskArgs(d hypervisor.Disk, f diskFile, slot int) []string {
	return []string{
		"-blockdev", asJSON(blockNode(d, f)),
		"-device", asJSON(diskDevice(d, "pcie.0", slot)),
	}
}

func nicArgs(n hypervisor.NIC, q queueFDs, slot int) []string {
	netdev := "tap,id=" + netdevID(n.ID) + ",fds=" + joinInts(q.tap)
	if len(q.vhost) > 0 {
		netdev += ",vhost=on,vhostfds=" + joinInts(q.vhost)
	}
	return []string{"-netdev", netdev, "-device", asJSON(nicDevice(n, "pcie.0", slot))}
}

func shareArgs(s hypervisor.Share, fd, slot int) []string {
	return []string{
		"-chardev", fmt.Sprintf("socket,id=%s,fd=%d", chardevID(s.Tag), fd),
		"-device", asJSON(shareDevice(s, "pcie.0", slot)),
	}
}

// bridgeArgs is the bridge for later devices. Nobody drives its hot-plug
// controller (shpc), since ACPI announces them; it is there because the firmware
// reserves room for later devices' memory behind bridges that have one, and the
// guest does not find a device without.
func bridgeArgs(cfg hypervisor.Config) []string {
	if cfg.HotplugSlots == 0 {
		return nil
	}
	return []string{"-device", at("pci-bridge,id="+bridgeID+",chassis_nr=1,shpc=on", slotBridge)}
}

// at adds a place on the root bus to a device.
func at(device string, slot int) string {
	return fmt.Sprintf("%s,bus=pcie.0,addr=%#x", device, slot)
}

func entropySource(cfg hypervisor.Config) string {
	if cfg.EntropySource == "" {
		return "/dev/urandom"
	}
	return cfg.EntropySource
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// quote doubles commas, which separate QEMU's options.
func quote(s string) string { return strings.ReplaceAll(s, ",", ",,") }

// asJSON renders an option in QEMU's JSON form, which needs no quoting rules.
func asJSON(v map[string]any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "{}" // Strings, numbers and booleans always encode.
	}
	return string(b)
}

func joinInts(n []int) string {
	s := make([]string, len(n))
	for i, v := range n {
		s[i] = strconv.Itoa(v)
	}
	return strings.Join(s, ":")
}
