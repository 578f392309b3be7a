// SPDX-License-Identifier: Apache-2.0

package virtiofsd

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/katapod/katapod/hypervisor/hypervisortest"
)

// TestDaemonIsConfined looks at the processes of the daemon once it serves.
func TestDaemonIsConfined(t *testing.T) {
	d, c, err := start(t, func(c *Config) {
		if err := os.WriteFile(filepath.Join(c.SharedDir, "shared"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", c.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	serving := server(t, d, conn)
	for _, pid := range []int{d.PID(), serving} {
		proc := fmt.Sprintf("/proc/%d/", pid)
		for _, path := range []string{"etc/passwd", "run", "var", "root", "home", "tmp", "sys", "bin/sh"} {
			if _, err := os.Lstat(proc + "root/" + path); !os.IsNotExist(err) {
				t.Errorf("process %d sees /%s (%v)", pid, path, err)
			}
		}
		for _, ns := range []string{"mnt", "pid", "net", "ipc", "uts"} {
			mine, err := os.Readlink("/proc/self/ns/" + ns)
			if err != nil {
				t.Fatal(err)
			}
			if its, err := os.Readlink(proc + "ns/" + ns); err != nil || its == mine {
				t.Errorf("process %d is in the host's %s namespace (%v)", pid, ns, err)
			}
		}
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d/root/shared", serving)); err != nil {
		t.Errorf("its root is not the share: %v", err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", serving))
	if err != nil {
		t.Fatal(err)
	}
	var bounding uint64
	if _, rest, found := strings.Cut(string(status), "CapBnd:\t"); !found {
		t.Error("no bounding set")
	} else if _, err := fmt.Sscanf(rest, "%x", &bounding); err != nil || bounding&^0x880000db != 0 {
		t.Errorf("the bounding set is %x (%v)", bounding, err)
	}
	// chown, dac_override, fowner, fsetid, setgid, setuid, mknod, setfcap
	for _, want := range []string{"Seccomp:\t2\n", "NoNewPrivs:\t1\n", "CapEff:\t00000000880000db\n", "CapPrm:\t00000000880000db\n", "CapInh:\t0000000000000000\n", "CapAmb:\t0000000000000000\n"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("%q is not in\n%s", want, status)
		}
	}
}

// server is the process of the daemon that serves. The C daemon drops its capabilities
// after it began to filter its system calls, so that neither tells of the other: only
// an answer proves that it has done both, since it does them before it reads a message.
func server(t *testing.T, d *Daemon, conn net.Conn) int {
	t.Helper()
	hypervisortest.Answered(t, conn)
	for _, pid := range append(children(d.PID()), d.PID()) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err == nil && strings.Contains(string(status), "Seccomp:\t2\n") {
			return pid
		}
	}
	t.Fatalf("no process of the daemon filters its system calls; it said: %q", d.Log())
	return 0
}
