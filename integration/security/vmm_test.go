// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/sandbox/config"
)

const none = "0000000000000000"

// The VMM has a user of its own, no capability, no way to get one, and filtered system calls.
func TestVMMHasNoPrivilege(t *testing.T) {
	begin(t)
	users := map[string]bool{}
	for _, p := range []*pod{shared.a, shared.b} {
		for name, want := range map[string]string{
			"CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none, "NoNewPrivs": "1", "Seccomp": "2", "Groups": "",
		} {
			if got := field(t, p.vmm, name); got != want {
				t.Errorf("%s of the VMM of %s is %q, want %q", name, p.spec.Name, got, want)
			}
		}
		ids := strings.Fields(field(t, p.vmm, "Uid") + " " + field(t, p.vmm, "Gid"))
		user, err := strconv.Atoi(ids[0])
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(ids, "0") || len(slices.Compact(ids)) != 1 {
			t.Errorf("the VMM of %s runs as %v", p.spec.Name, ids)
		}
		if r := config.Default().Hypervisor.Users(); user < r.First || user > r.Last {
			t.Errorf("the VMM of %s runs as %d, out of %s", p.spec.Name, user, r)
		}
		if name, err := osuser.LookupId(ids[0]); err == nil {
			t.Errorf("user %s of the VMM of %s was made on the host, as %s", ids[0], p.spec.Name, name.Username)
		}
		users[ids[0]] = true
	}
	if len(users) != 2 {
		t.Errorf("the VMMs run as %v: one user for both", users)
	}
}

// The VMM is in namespaces of its own, but for the network namespace, which is the pod's.
func TestVMMIsApart(t *testing.T) {
	begin(t)
	for _, ns := range []string{"mnt", "pid", "ipc", "uts", "net"} {
		seen := map[string]string{}
		for name, pid := range map[string]int{"the test": os.Getpid(), "the shim": parent(t, shared.a.vmm), "the VMM of a": shared.a.vmm, "the VMM of b": shared.b.vmm} {
			id, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, ns))
			if err != nil {
				t.Fatal(err)
			}
			if other, taken := seen[id]; taken && (strings.HasPrefix(name, "the VMM") || strings.HasPrefix(other, "the VMM")) {
				t.Errorf("%s and %s are in one %s namespace", name, other, ns)
			}
			seen[id] = name
		}
	}
}

// What an engine reaches by /proc/<pid>/root, as nerdctl's cp does, is not the host.
func TestVMMSeesNothingOfTheHost(t *testing.T) {
	begin(t)
	for _, p := range []*pod{shared.a, shared.b} {
		root := fmt.Sprintf("/proc/%d/root/", p.vmm)
		for _, path := range []string{"etc/passwd", "etc/shadow", "run", "var", "root", "home", "tmp", "proc", "sys", "bin/sh", "usr/bin/env"} {
			if _, err := os.Lstat(root + path); !os.IsNotExist(err) {
				t.Errorf("the VMM of %s sees /%s (%v)", p.spec.Name, path, err)
			}
		}
		if err := os.WriteFile(root+"new", nil, 0o600); err == nil {
			t.Errorf("root makes a file in the root directory of the VMM of %s", p.spec.Name)
		}
		for point, options := range mounts(t, p.vmm) {
			if !slices.Contains(options, "ro") && point != "/memory" && point != "/dev/null" && point != "/dev/kvm" {
				t.Errorf("the VMM of %s may write to %s", p.spec.Name, point)
			}
		}
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.vmm))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(line), shared.Root) || strings.Contains(string(line), shared.Out) {
			t.Errorf("the command line of the VMM of %s names a path of the host: %q", p.spec.Name, line)
		}
	}
}

// What the VMM has open is what it was given.
func TestVMMHasOpenWhatItWasGiven(t *testing.T) {
	begin(t)
	for _, p := range []*pod{shared.a, shared.b} {
		for fd, to := range open(t, p.vmm) {
			image := to == filepath.Join(shared.Out, "guest/katapod.img")
			if image || to == "/dev/urandom" {
				if writable(t, p.vmm, fd) {
					t.Errorf("the VMM of %s may write to %s", p.spec.Name, to)
				}
				continue
			}
			allowed := slices.ContainsFunc([]string{"socket:", "anon_inode:", "pipe:", "/memfd:", "/memory", "/dev/net/tun", "/dev/null", "/dev/kvm", "/dev/vhost"},
				func(kind string) bool { return strings.HasPrefix(to, kind) })
			if !allowed {
				t.Errorf("the VMM of %s has %s open", p.spec.Name, to)
			}
		}
	}
}

func open(t *testing.T, pid int) map[string]string {
	t.Helper()
	found := map[string]string{}
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, e.Name())); err == nil {
			found[e.Name()] = to
		}
	}
	return found
}

// writable tells whether a descriptor was opened for writing, by the last octal digit of its flags.
func writable(t *testing.T, pid int, fd string) bool {
	t.Helper()
	info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", pid, fd))
	if err != nil {
		return false // It was closed meanwhile.
	}
	for line := range strings.Lines(string(info)) {
		if flags, found := strings.CutPrefix(line, "flags:"); found {
			return !strings.HasSuffix(strings.TrimSpace(flags), "0")
		}
	}
	return false
}

// A process with the user of one pod's VMM cannot open what belongs to another pod, which root can.
func TestPodsCannotReachEachOther(t *testing.T) {
	ctx := begin(t)
	user := strings.Fields(field(t, shared.a.vmm, "Uid"))[0]
	b := fmt.Sprintf("/proc/%d/", shared.b.vmm)
	words := []string{"read:" + b + "mem", "read:" + b + "root/kernel", "read:" + b + "environ", "read:" + b + "fd/3", "read:" + shared.b.state(t) + "/ledger"}
	var sockets []string
	for _, dir := range []string{shared.b.state(t), shared.b.sockets(t), filepath.Join(shared.Root, "run/s")} {
		err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() && entry.Name() == "rootfs" {
				return filepath.SkipDir
			}
			switch {
			case entry.Type() == fs.ModeSocket:
				sockets = append(sockets, "connect:"+path)
			case entry.Type().IsRegular():
				words = append(words, "read:"+path, "open:"+path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(words) < 10 || len(sockets) < 2 {
		t.Fatalf("pod b has only %v and %v", words, sockets)
	}
	for _, line := range tried(ctx, t, "0", words) {
		if forbidden(line) {
			t.Errorf("root: %s, so that it tells nothing of others", line)
		}
	}
	for _, line := range tried(ctx, t, user, append(words, sockets...)) {
		if !forbidden(line) {
			t.Errorf("user %s of another pod's VMM: %s", user, line)
		}
	}
}

func forbidden(line string) bool {
	return strings.HasSuffix(line, " EACCES") || strings.HasSuffix(line, " EPERM")
}

// tried has a user of the host try words, see the command probe.
func tried(ctx context.Context, t *testing.T, user string, words []string) []string {
	t.Helper()
	probe := filepath.Join(shared.Out, "node-security", "probe")
	out, err := exec.CommandContext(ctx, probe, append([]string{"as", user, probe, "try"}, words...)...).CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(lines) != len(words) {
		t.Fatalf("%d attempts as user %s: %v: %s", len(words), user, err, out)
	}
	return lines
}

// virtiofsd serves the share and sees nothing else.
func TestVirtiofsdIsConfined(t *testing.T) {
	begin(t)
	for _, p := range []*pod{shared.a, shared.b} {
		pids := p.daemons(t)
		if len(pids) == 0 {
			t.Fatalf("pod %s has a share and no virtiofsd", p.spec.Name)
		}
		serving := 0
		for _, pid := range pids {
			if field(t, pid, "NoNewPrivs") != "1" {
				t.Errorf("process %d of virtiofsd may get privileges", pid)
			}
			if wrong := wrongCapabilities(t, pid); wrong != "" {
				t.Errorf("process %d of virtiofsd has the capabilities %s", pid, wrong)
			}
			if field(t, pid, "Seccomp") == "2" {
				serving++
			}
			for _, ns := range []string{"mnt", "pid", "net", "ipc", "uts"} {
				mine, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", parent(t, p.vmm), ns))
				if err != nil {
					t.Fatal(err)
				}
				if its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, ns)); err != nil || its == mine {
					t.Errorf("process %d of virtiofsd is in the shim's %s namespace (%v)", pid, ns, err)
				}
			}
			for _, path := range []string{"etc/passwd", "run", "var", "home", "sys", "bin/sh"} {
				if _, err := os.Lstat(fmt.Sprintf("/proc/%d/root/%s", pid, path)); !os.IsNotExist(err) {
					t.Errorf("process %d of virtiofsd sees /%s (%v)", pid, path, err)
				}
			}
			p.checkMounts(t, pid)
		}
		if serving == 0 {
			t.Errorf("no process of virtiofsd of %s filters its system calls", p.spec.Name)
		}
	}
}

// wrongCapabilities are those that a process of virtiofsd may not have. The one that serves has dropped them before it
// answers; the one that waits for it drops them beside it, and nothing tells when.
func wrongCapabilities(t *testing.T, pid int) (wrong string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		wrong = ""
		for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
			// chown, dac_override, fowner, fsetid, setgid, setuid, mknod, setfcap
			if caps := field(t, pid, set); caps != none && caps != "00000000880000db" {
				wrong += set + " " + caps + " "
			}
		}
		if wrong == "" || field(t, pid, "Seccomp") == "2" || time.Now().After(deadline) {
			return wrong
		}
	}
}

// checkMounts checks what a process of the pod's virtiofsd may do with each mount that it has: write to those of the pod
// that were not given for reading, and open no device.
func (p *pod) checkMounts(t *testing.T, pid int) {
	t.Helper()
	for point, options := range mounts(t, pid) {
		own := strings.HasPrefix(point, "/"+p.main) || strings.HasPrefix(point, "/"+p.id)
		if !slices.Contains(options, "ro") && (!own || strings.HasSuffix(point, "-reading")) {
			t.Errorf("process %d of virtiofsd may write to %s", pid, point)
		}
		if !slices.Contains(options, "nodev") || !slices.Contains(options, "nosuid") {
			t.Errorf("process %d of virtiofsd has %s mounted as %v", pid, point, options)
		}
	}
}

// A pod that needs no share has no virtiofsd.
func TestNoShareNoVirtiofsd(t *testing.T) {
	ctx := begin(t)
	bare := &pod{spec: shared.b.spec}
	bare.spec.Name, bare.spec.Handler = "sec-bare", "kata-erofs"
	var err error
	if bare.id, err = shared.RunPod(ctx, bare.spec); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := shared.RemovePod(ctx, bare.id); err != nil {
			t.Error(err)
		}
	}()
	var inspected struct{ Info struct{ PID int } }
	if err := shared.CrictlJSON(ctx, &inspected, "inspectp", bare.id); err != nil {
		t.Fatal(err)
	}
	bare.vmm = inspected.Info.PID
	if pids := bare.daemons(t); len(pids) > 0 {
		t.Errorf("a pod whose pause container is on disks has the virtiofsd %v", pids)
	}
	if user := field(t, bare.vmm, "Uid"); user == field(t, shared.a.vmm, "Uid") || user == field(t, shared.b.vmm, "Uid") {
		t.Errorf("its VMM runs as another's user, %s", user)
	}
}
