// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
)

// plain is a configuration and inputs that the tables change.
func plain() (hypervisor.Config, inputs) {
	return hypervisor.Config{
			ID: "pod", Kernel: "/k", Image: "/i", ImageType: "erofs", VCPUs: 1, MemoryMiB: 256, HotplugSlots: 2,
		}, inputs{
			accelerator: "tcg", control: 3, console: 4, channel: 5,
			sets: []int{6, 7}, entropy: "/dev/fdset/6", shares: map[string]int{},
			disks:  map[string]diskFile{imageID: {"file", "/dev/fdset/7"}, "d": {"host_device", "/dev/fdset/8"}},
			queues: map[string]queueFDs{},
		}
}

// TestCommandLine is the whole of one ordinary command line.
func TestCommandLine(t *testing.T) {
	want := `-name katapod-pod
-nodefaults
-no-user-config
-display none
-no-reboot
-S
-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
-add-fd fd=6,set=6
-add-fd fd=7,set=7
-machine q35,usb=off,sata=off,smbus=off,vmport=off,dump-guest-core=off,memory-backend=memory
-accel tcg,thread=multi,tb-size=64
-cpu max,-erms,-fsrm
-smp 1
-m 256M
-object memory-backend-ram,id=memory,size=256M
-kernel /kernel
-append console=ttyS0 panic=-1 cgroup_no_v1=all dummy.numdummies=0 ifb.numifbs=0 sysctl.vm.compaction_proactiveness=0 quiet clearcpuid=cx16 no_timer_check agent.emulated nolapic_timer noreplace-smp root=/dev/vda rootfstype=erofs ro init=/sbin/init
-chardev socket,id=control,fd=3
-mon chardev=control,mode=control
-chardev socket,id=console,fd=4
-serial chardev:console
-chardev socket,id=channel,fd=5,server=on,wait=off
-device virtio-serial-pci,id=serial,bus=pcie.0,addr=0x1
-device virtserialport,bus=serial.0,chardev=channel,name=katapod.mux
-device virtio-rng-pci,rng=entropy,bus=pcie.0,addr=0x2
-object rng-random,id=entropy,filename=/dev/fdset/6
-device virtio-balloon-pci,id=balloon,free-page-reporting=off,deflate-on-oom=on,bus=pcie.0,addr=0x3
-device pvpanic-pci,bus=pcie.0,addr=0x4
-blockdev {"driver":"raw","file":{"driver":"file","filename":"/dev/fdset/7"},"node-name":"node-image","read-only":true}
-device {"addr":"0x5","bus":"pcie.0","disable-legacy":"on","drive":"node-image","driver":"virtio-blk-pci","id":"disk-image","opt_io_size":262144,"serial":"image"}
-device pci-bridge,id=later,chassis_nr=1,shpc=on,bus=pcie.0,addr=0x1e`
	cfg, in := plain()
	if got := render(commandLine(cfg, in)); got != want {
		t.Errorf("command line:\n%s\nwant:\n%s", got, want)
	}
}

// render puts each option with its value on a line.
func render(args []string) string {
	return strings.ReplaceAll(strings.Join(args, " "), " -", "\n-")
}

// part is a change to the plain configuration and what the command line then
// has and lacks.
type part struct {
	name       string
	change     func(*hypervisor.Config, *inputs)
	has, lacks []string
}

func parts() []part {
	return []part{
		{"kvm", func(c *hypervisor.Config, in *inputs) { in.accelerator = "kvm"; c.CPUFeatures = "pmu=off" },
			[]string{"-accel kvm\n", "-cpu host,pmu=off\n"}, []string{"nolapic_timer", "tcg", "clearcpuid", "agent.emulated"}},
		{"emulated clock, which stays watched", func(*hypervisor.Config, *inputs) {}, nil, []string{"tsc="}},
		{"several vCPUs", func(c *hypervisor.Config, _ *inputs) { c.VCPUs = 2; c.MaxVCPUs = 4 },
			[]string{"-smp 2,maxcpus=4\n"}, []string{"nolapic_timer", "noreplace-smp"}},
		{"room for memory", func(c *hypervisor.Config, _ *inputs) { c.MaxMemoryMiB, c.MemorySlots = 1024, 8 },
			[]string{"-m size=256M,slots=8,maxmem=1024M\n", " memhp_default_state=online memory_hotplug.memmap_on_memory=1 root="}, nil},
		{"room for memory, and no slot", func(c *hypervisor.Config, _ *inputs) { c.MaxMemoryMiB = 1024 },
			[]string{"-m 256M\n"}, []string{"memhp"}},
		{"vsock", func(_ *hypervisor.Config, in *inputs) { in.cid, in.vsock = 77, 6 },
			[]string{"vhost-vsock-pci,vhostfd=6,guest-cid=77,bus=pcie.0,addr=0x1\n"}, []string{"virtserialport", "id=channel"}},
		{"initrd", func(c *hypervisor.Config, _ *inputs) { c.Image = ""; c.Initrd = "/r" },
			[]string{"-initrd /initrd\n"}, []string{"root=", "node-image"}},
		{"debug and parameters", func(c *hypervisor.Config, _ *inputs) {
			c.Debug = true
			c.KernelParams = []string{"agent.log=debug", "a=b"}
		},
			[]string{"init=/sbin/init agent.log=debug a=b\n"}, []string{"quiet"}},
		{"share", func(c *hypervisor.Config, in *inputs) {
			c.Shares = []hypervisor.Share{{Tag: "kataShared", Socket: "/s,x"}}
			in.shares["kataShared"] = 9
		}, []string{
			"-object memory-backend-memfd,share=on,id=memory,size=256M\n", "-chardev socket,id=share-kataShared,fd=9\n",
			`{"addr":"0x6","bus":"pcie.0","chardev":"share-kataShared","driver":"vhost-user-fs-pci","id":"fs-kataShared","queue-size":1024,"tag":"kataShared"}`,
			" init_on_alloc=1 ",
		}, []string{"memory-backend-ram"}},
		{"share under KVM", func(c *hypervisor.Config, in *inputs) {
			in.accelerator = "kvm"
			c.Shares = []hypervisor.Share{{Tag: "kataShared", Socket: "/s"}}
		}, []string{"vhost-user-fs-pci"}, []string{"init_on_alloc"}},
		{"disk", func(c *hypervisor.Config, _ *inputs) { c.Disks = []hypervisor.Disk{{ID: "d", Path: "/d,1"}} },
			[]string{
				`{"discard":"unmap","driver":"raw","file":{"driver":"host_device","filename":"/dev/fdset/8"},"node-name":"node-d","read-only":false}`,
				`{"addr":"0x6","bus":"pcie.0","disable-legacy":"on","drive":"node-d","driver":"virtio-blk-pci","id":"disk-d","serial":"d"}`,
			}, nil},
		{"NIC", func(c *hypervisor.Config, in *inputs) {
			c.NICs = []hypervisor.NIC{{ID: "n", MAC: "02:00:00:00:00:01", MTU: 1450, TapFDs: []int{1}}}
			in.queues["n"] = queueFDs{tap: []int{7}}
		}, []string{
			"-netdev tap,id=net-n,fds=7\n",
			`{"addr":"0x6","bus":"pcie.0","disable-legacy":"on","driver":"virtio-net-pci","host_mtu":1450,"id":"nic-n","mac":"02:00:00:00:00:01","netdev":"net-n","romfile":""}`,
		}, nil},
		{"NIC with queues and vhost", func(c *hypervisor.Config, in *inputs) {
			c.NICs = []hypervisor.NIC{{ID: "n", MAC: "02:00:00:00:00:01", TapFDs: []int{1, 2}}}
			in.queues["n"] = queueFDs{tap: []int{7, 8}, vhost: []int{9, 10}}
		}, []string{"-netdev tap,id=net-n,fds=7:8,vhost=on,vhostfds=9:10\n", `"mq":true`, `"vectors":6`}, []string{"host_mtu"}},
		{"freed pages", func(c *hypervisor.Config, _ *inputs) { c.FreePageReporting = true },
			[]string{"virtio-balloon-pci,id=balloon,free-page-reporting=on,deflate-on-oom=on,"}, nil},
		{"to be saved", func(c *hypervisor.Config, in *inputs) {
			c.SaveTo, in.memory = &hypervisor.Snapshot{Memory: "/m,1", State: "/s"}, true
		},
			[]string{"-object memory-backend-file,share=on,mem-path=/memory,id=memory,size=256M\n"}, []string{"-incoming", "init_on_alloc", "vmgenid"}},
		{"clone", func(c *hypervisor.Config, in *inputs) {
			c.From, in.memory = &hypervisor.Snapshot{Memory: "/m", State: "/s"}, true
		},
			[]string{"-object memory-backend-file,share=on,mem-path=/memory,id=memory,size=256M\n", "-incoming defer\n"}, []string{"vmgenid"}},
		{"clone under KVM", func(c *hypervisor.Config, in *inputs) {
			c.From, in.accelerator = &hypervisor.Snapshot{Memory: "/m", State: "/s"}, "kvm"
		},
			[]string{"-device vmgenid,guid=auto\n-incoming defer\n"}, nil},
		{"a share may come", func(c *hypervisor.Config, _ *inputs) { c.LaterShares = true },
			[]string{"-object memory-backend-memfd,share=on,id=memory", " init_on_alloc=1 "}, []string{"vmgenid"}},
		{"nothing comes later", func(c *hypervisor.Config, _ *inputs) { c.HotplugSlots = 0 }, nil, []string{"pci-bridge", "init_on_alloc"}},
		{"machine version", func(c *hypervisor.Config, _ *inputs) { c.Machine = "pc-q35-7.2" }, []string{"-machine pc-q35-7.2,"}, nil},
	}
}

func TestCommandLineParts(t *testing.T) {
	for _, tc := range parts() {
		t.Run(tc.name, func(t *testing.T) {
			cfg, in := plain()
			tc.change(&cfg, &in)
			got := render(commandLine(cfg, in)) + "\n"
			for _, s := range tc.has {
				if !strings.Contains(got, s) {
					t.Errorf("%q is not in\n%s", s, got)
				}
			}
			for _, s := range tc.lacks {
				if strings.Contains(got, s) {
					t.Errorf("%q is in\n%s", s, got)
				}
			}
		})
	}
}

// TestSlotsDoNotMeet counts every address on the root bus of a full machine.
func TestSlotsDoNotMeet(t *testing.T) {
	cfg, in := plain()
	cfg.Disks = []hypervisor.Disk{{ID: "a", Path: "/i"}, {ID: "b", Path: "/i"}}
	cfg.Shares = []hypervisor.Share{{Tag: "t", Socket: "/s"}}
	for i := range slotBridge - firstFreeSlot - 3 {
		id := fmt.Sprintf("n%d", i)
		cfg.NICs = append(cfg.NICs, hypervisor.NIC{ID: id})
	}
	cfg.HotplugSlots = maxLater
	if err := checkSlots(cfg); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, arg := range commandLine(cfg, in) {
		for _, mark := range []string{"addr=", `"addr":"`} {
			_, rest, found := strings.Cut(arg, mark)
			if !found {
				continue
			}
			addr := strings.FieldsFunc(rest, func(r rune) bool { return r == '"' || r == ',' })[0]
			if seen[addr] {
				t.Errorf("two devices at %s", addr)
			}
			seen[addr] = true
		}
	}
	if len(seen) != slotBridge {
		t.Errorf("%d slots are taken, want %d", len(seen), slotBridge)
	}
	for name, more := range map[string]func(*hypervisor.Config){
		"a later device": func(c *hypervisor.Config) { c.HotplugSlots++ },
		"a share":        func(c *hypervisor.Config) { c.Shares = make([]hypervisor.Share, 2) },
	} {
		full := cfg
		more(&full)
		if err := checkSlots(full); !errors.Is(err, errdefs.ErrInvalidArgument) {
			t.Errorf("%s too many: %v", name, err)
		}
	}
}

func TestPathOfLaterDevices(t *testing.T) {
	for i, want := range map[int]hypervisor.PCIPath{0: "1e/01", maxLater - 1: "1e/1f"} {
		if got := pathOfLater(i); got != want {
			t.Errorf("device %d is at %s, want %s", i, got, want)
		}
	}
}

// TestSmallFreePiecesAreReported: and at once, but only by a guest that reports at all.
func TestSmallFreePiecesAreReported(t *testing.T) {
	for _, reports := range []bool{false, true} {
		params := kernelParams(hypervisor.Config{FreePageReporting: reports}, "kvm")
		for _, param := range []string{"page_reporting.page_reporting_order=5", "sysctl.vm.percpu_pagelist_high_fraction=1000"} {
			if got := strings.Contains(params, param); got != reports {
				t.Errorf("free page reporting is %v, and the kernel's command line is %q: %s", reports, params, param)
			}
		}
	}
}

// TestAllocatorGivesBack: both bounds are said, since either alone lets the library move the other.
func TestAllocatorGivesBack(t *testing.T) {
	env := strings.Join(allocator(), " ")
	for _, name := range []string{"MALLOC_MMAP_THRESHOLD_=", "MALLOC_TRIM_THRESHOLD_="} {
		if !strings.Contains(env, name) {
			t.Errorf("QEMU's environment is %q, without %s", env, name)
		}
	}
}
