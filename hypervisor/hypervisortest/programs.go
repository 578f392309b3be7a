// SPDX-License-Identifier: Apache-2.0

package hypervisortest

import (
	"os"
	"os/exec"
	"testing"
)

// QEMUEnv and VirtiofsdEnv name variables that hold paths of programs to test
// with, in the place of those installed: other versions, say.
const (
	QEMUEnv      = "KATAPOD_QEMU"
	VirtiofsdEnv = "KATAPOD_VIRTIOFSD"
)

// QEMU is the path of QEMU. The test is skipped, with the reason, without it.
func QEMU(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(QEMUEnv); path != "" {
		return path
	}
	path, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Skip("QEMU is not installed: apt-get install qemu-system-x86")
	}
	return path
}

// Virtiofsd is the path of a virtiofsd of either kind. The test is skipped,
// with the reason, without one, or without root, which its namespaces need.
func Virtiofsd(t testing.TB) string {
	t.Helper()
	for _, path := range []string{os.Getenv(VirtiofsdEnv), "/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd"} {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if os.Geteuid() != 0 {
			t.Skip("virtiofsd puts itself into namespaces: run as root")
		}
		return path
	}
	t.Skip("virtiofsd is not installed: apt-get install qemu-system-common or virtiofsd")
	return ""
}
