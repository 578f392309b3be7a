// SPDX-License-Identifier: Apache-2.0

package guestimage

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// required is what the agent and containers cannot do without, kept apart from
// the fragments so that a slip in one of them is seen.
var required = map[string]string{
	"namespaces":   "NAMESPACES UTS_NS IPC_NS USER_NS PID_NS NET_NS TIME_NS",
	"cgroups":      "CGROUPS MEMCG BLK_CGROUP CGROUP_SCHED CFS_BANDWIDTH CGROUP_PIDS CGROUP_RDMA CGROUP_FREEZER CGROUP_HUGETLB CGROUP_MISC CPUSETS CGROUP_BPF BLK_DEV_THROTTLING PSI",
	"confinement":  "SECCOMP SECCOMP_FILTER BPF_SYSCALL BPF_JIT KEYS SECURITY_LANDLOCK CPU_MITIGATIONS STACKPROTECTOR_STRONG",
	"system calls": "POSIX_MQUEUE SYSVIPC FUTEX EPOLL IO_URING AIO USERFAULTFD MEMBARRIER RSEQ CHECKPOINT_RESTORE FHANDLE BINFMT_MISC BINFMT_SCRIPT IA32_EMULATION",
	"file systems": "EROFS_FS EROFS_FS_ZIP EXT4_FS XFS_FS OVERLAY_FS FUSE_FS VIRTIO_FS TMPFS TMPFS_XATTR HUGETLBFS DEVTMPFS DEVTMPFS_MOUNT PROC_FS SYSFS INOTIFY_USER FANOTIFY FS_DAX",
	"network":      "INET IPV6 PACKET UNIX BRIDGE BRIDGE_NETFILTER VETH TUN DUMMY MACVLAN IPVLAN VLAN_8021Q VXLAN WIREGUARD IP_MULTIPLE_TABLES IPV6_MULTIPLE_TABLES",
	"nftables":     "NF_TABLES NF_TABLES_INET NF_TABLES_IPV4 NF_TABLES_IPV6 NFT_COMPAT NFT_CT NFT_NAT NFT_MASQ NFT_REDIR NFT_REJECT NF_CONNTRACK NF_NAT",
	"iptables":     "IP_NF_IPTABLES IP_NF_FILTER IP_NF_NAT IP_NF_MANGLE IP6_NF_IPTABLES IP6_NF_FILTER IP6_NF_NAT IP6_NF_MANGLE NETFILTER_XT_MATCH_CONNTRACK NETFILTER_XT_MATCH_OWNER NETFILTER_XT_TARGET_REDIRECT NETFILTER_XT_TARGET_TPROXY",
	"devices":      "PVH VIRTIO_PCI VIRTIO_MMIO VIRTIO_BLK VIRTIO_NET VIRTIO_CONSOLE VIRTIO_VSOCKETS VIRTIO_BALLOON PAGE_REPORTING HW_RANDOM_VIRTIO SCSI_VIRTIO VIRTIO_PMEM VMGENID PVPANIC_PCI SERIAL_8250_CONSOLE",
	"hotplug":      "HOTPLUG_PCI HOTPLUG_PCI_ACPI HOTPLUG_PCI_PCIE HOTPLUG_CPU ACPI_HOTPLUG_CPU MEMORY_HOTPLUG MEMORY_HOTREMOVE VIRTIO_MEM ACPI_BUTTON",
	"storage":      "BLK_DEV_LOOP BLK_DEV_DM DM_VERITY ZRAM SWAP BLK_DEV_INITRD RD_ZSTD",
}

// forbidden would add a way in, or time to every boot.
const forbidden = "MODULES DEVMEM DEVPORT KEXEC PROC_KCORE VT EFI DEBUG_FS"

func TestBuiltKernelHasWhatContainersNeed(t *testing.T) {
	path := artefact(t, "vmlinux.config")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	options := map[string]string{}
	parseConfig(string(text), func(option, value string) { options[strings.TrimPrefix(option, "CONFIG_")] = value })
	for theme, names := range required {
		for name := range strings.FieldsSeq(names) {
			if options[name] != "y" {
				t.Errorf("%s: the kernel of %s has CONFIG_%s=%q, want y", theme, path, name, options[name])
			}
		}
	}
	for name := range strings.FieldsSeq(forbidden) {
		if options[name] == "y" {
			t.Errorf("the kernel of %s has CONFIG_%s, which must stay out", path, name)
		}
	}
}

func TestBuiltKernelHasEveryOptionOfTheFragments(t *testing.T) {
	out, err := exec.Command("./build-kernel", "--verify", artefact(t, "vmlinux.config")).CombinedOutput()
	if err != nil {
		t.Errorf("the kernel was not built from these fragments (run make guest): %v\n%s", err, out)
	}
}

func TestVerifyNamesWhatIsMissing(t *testing.T) {
	config, err := os.ReadFile(artefact(t, "vmlinux.config"))
	if err != nil {
		t.Fatal(err)
	}
	replaced := strings.NewReplacer(
		"CONFIG_OVERLAY_FS=y\n", "# CONFIG_OVERLAY_FS is not set\n",
		"# CONFIG_MODULES is not set\n", "CONFIG_MODULES=y\n",
		"CONFIG_NR_CPUS=240\n", "CONFIG_NR_CPUS=8\n",
	).Replace(string(config))
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, []byte(replaced), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("./build-kernel", "--verify", path).CombinedOutput()
	if err == nil {
		t.Fatal("a configuration that differs from the fragments was accepted")
	}
	for _, want := range []string{"CONFIG_OVERLAY_FS=y", "CONFIG_MODULES=n", "CONFIG_NR_CPUS=240"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the message does not name %s: %s", want, out)
		}
	}
}
