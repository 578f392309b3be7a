// SPDX-License-Identifier: Apache-2.0

package config

import "os"

// usualVirtiofsd lists where distributions put virtiofsd, the one in Rust
// before QEMU's own in C: upstream's place and Fedora's, Debian's and Arch's of
// the Rust one, Debian 12's of the C one.
func usualVirtiofsd() []string {
	return []string{"/usr/libexec/virtiofsd", "/usr/lib/virtiofsd", "/usr/lib/qemu/virtiofsd"}
}

// Virtiofsd is the path of virtiofsd: the one that the configuration names, or
// the first of the usual places that has one.
func (h Hypervisor) Virtiofsd() string {
	if h.VirtioFSDaemon != "" {
		return h.VirtioFSDaemon
	}
	return firstFile(usualVirtiofsd())
}

// firstFile returns the first of paths that exists, or the first of all, so that
// an error about it names the place where it is expected.
func firstFile(paths []string) string {
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return paths[0]
}
