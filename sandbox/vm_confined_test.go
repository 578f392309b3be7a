// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/cgroups/v3/cgroup2"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/hypervisor/accel"
	"github.com/katapod/katapod/sandbox/sizing"
)

// TestVMConfined looks at the VMM of a pod that uses all that the host has, KVM, vhost and limits of its cgroup among
// it, once a container with a network and a volume has run.
func TestVMConfined(t *testing.T) {
	bundle := busyboxBundle(t)
	inside, far := outside(t), outside(t)
	addVeth(t, inside, far)
	pod := realPod(t, func(o *Options) {
		o.NetNS, o.Resources = inside, sizing.Request{MemoryBytes: 256 << 20, CPUShares: 512}
	})
	startReal(t, pod)
	volume := t.TempDir()
	o := realContainer(bundle, "c1", "sh", "-c", "ls /sys/class/net; echo written >/data/out")
	o.Spec.Mounts = append(o.Spec.Mounts, specs.Mount{Type: "bind", Source: volume, Destination: "/data", Options: []string{"rbind"}},
		specs.Mount{Type: "sysfs", Source: "sysfs", Destination: "/sys", Options: []string{"ro"}})
	if out, code := runReal(t, pod, o); code != 0 || !strings.Contains(out, "eth0") {
		t.Fatalf("the container exited with %d and said %q", code, out)
	}
	if text, err := os.ReadFile(filepath.Join(volume, "out")); err != nil || string(text) != "written\n" {
		t.Errorf("the container wrote %q, %v", text, err)
	}
	proc := fmt.Sprintf("/proc/%d/", pod.PID())
	user := checkPrivileges(t, pod, proc+"status")
	checkNamespaces(t, proc+"ns/", inside)
	checkDevices(t, pod, proc, user)
	checkLimits(t, pod, sizing.HostLimits(pod.options.Resources, pod.size(), pod.options.Config.Hypervisor.Name).MemoryBytes)
}

// checkPrivileges returns the VMM's user.
func checkPrivileges(t *testing.T, pod *Sandbox, path string) int {
	t.Helper()
	status, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const none = "0000000000000000"
	is := map[string][]string{}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		is[name] = strings.Fields(value)
	}
	for name, want := range map[string]string{
		"CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none, "NoNewPrivs": "1", "Seccomp": "2", "Groups": "",
	} {
		if got := strings.Join(is[name], " "); got != want {
			t.Errorf("%s of the VMM is %q, want %q", name, got, want)
		}
	}
	ids := slices.Compact(append(is["Uid"], is["Gid"]...))
	user, err := strconv.Atoi(ids[0])
	if r := pod.options.Config.Hypervisor.Users(); err != nil || len(ids) != 1 || user < r.First || user > r.Last {
		t.Errorf("the VMM runs as %v, error %v, want one of %s", ids, err, r)
	}
	return user
}

// checkNamespaces wants namespaces of its own, but that of the pod's network.
func checkNamespaces(t *testing.T, dir, netns string) {
	t.Helper()
	inode := func(path string) uint64 {
		t.Helper()
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		return st.Ino
	}
	for _, ns := range []string{"mnt", "pid", "ipc", "uts", "net"} {
		if inode(dir+ns) == inode("/proc/self/ns/"+ns) {
			t.Errorf("the VMM is in the shim's %s namespace", ns)
		}
	}
	if inode(dir+"net") != inode(netns) {
		t.Error("the VMM is not in the pod's network namespace")
	}
}

// checkDevices wants vhost's devices given as descriptors, and by name only KVM's, which the VMM opens itself.
func checkDevices(t *testing.T, pod *Sandbox, proc string, user int) {
	t.Helper()
	names := []string{"null"}
	if pod.machine().Describe().Accelerator == accel.KVM {
		names = append(names, "kvm")
	}
	entries, err := os.ReadDir(proc + "root/dev")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		var st syscall.Stat_t
		if err := syscall.Lstat(proc+"root/dev/"+e.Name(), &st); err != nil || !slices.Contains(names, e.Name()) || int(st.Uid) != user || st.Mode&0o777 != 0o600 {
			t.Errorf("the VMM finds /dev/%s with mode %o of user %d, error %v", e.Name(), st.Mode, st.Uid, err)
		}
	}
	if len(entries) != len(names) {
		t.Errorf("the VMM finds %v in /dev, want %v", entries, names)
	}
	for device, want := range map[string]int{vhostNetDevice: 1, "/dev/vhost-vsock": 1, "anon_inode:kvm-vm": len(names) - 1} {
		if _, err := os.Stat(device); strings.HasPrefix(device, "/") && err != nil {
			t.Logf("this host has no %s (make nested has)", device)
			continue
		}
		if n := opened(t, pod.PID(), device); n != want {
			t.Errorf("the VMM has %s open %d times, want %d", device, n, want)
		}
	}
}

// checkLimits wants all processes of the pod in its cgroup, and the limit there.
func checkLimits(t *testing.T, pod *Sandbox, bytes int64) {
	t.Helper()
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pod.PID()))
	if err != nil {
		t.Fatal(err)
	}
	dir, limit, shares, weight := "", "memory.max", "", ""
	for line := range strings.Lines(strings.TrimSpace(string(groups))) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case slices.Contains(strings.Split(fields[1], ","), "memory"):
			dir, limit = "/sys/fs/cgroup/memory"+fields[2], "memory.limit_in_bytes"
		case fields[1] == "" && dir == "":
			dir, weight = "/sys/fs/cgroup"+fields[2], strconv.FormatUint(cgroup2.ConvertCPUSharesToCgroupV2Value(pod.options.Resources.CPUShares), 10)
		}
	}
	if weight != "" {
		shares = strings.TrimSpace(read(t, filepath.Join(dir, "cpu.weight")))
	}
	if got := strings.TrimSpace(read(t, filepath.Join(dir, limit))); got != strconv.FormatInt(bytes, 10) || shares != weight {
		t.Errorf("the cgroup %s has %s of %s, want %d, and the weight %q, want %q", dir, limit, got, bytes, shares, weight)
	}
	members := strings.Fields(read(t, filepath.Join(dir, "cgroup.procs")))
	if !strings.Contains(dir, pod.ID()) || !slices.Contains(members, strconv.Itoa(pod.PID())) || len(members) < 2 {
		t.Errorf("the cgroup %s has the processes %v, want the VMM and virtiofsd's", dir, members)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
