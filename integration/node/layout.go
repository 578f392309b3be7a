// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
)

// Layout is where a node keeps its things. The names are short on purpose: a unix socket's path ends at 107 bytes,
// and shims put sockets named after a 64-digit id below these directories.
type Layout struct {
	Root string // everything below it belongs to the node and is removed with it
	Bin  string // programs built from the Go module proxy, in the cache
	Over string // programs that go before those, another containerd for example; may be empty
	Out  string // the project's build output (bin/, guest/)

	LogLevel string // of containerd, and through it of the shims; empty is "info"
}

// maxRoot leaves room for "/vc/<64 digits>/<name of 20>" within a unix socket's path.
const maxRoot = 20

func newLayout(root, bin, out string) (Layout, error) {
	clean := filepath.Clean(root)
	if !filepath.IsAbs(clean) || len(clean) > maxRoot || strings.Count(clean, "/") < 2 {
		return Layout{}, fmt.Errorf("the node's root %q has to be an absolute path of at most %d bytes, "+
			"below a top directory such as /tmp: %w", root, maxRoot, errdefs.ErrInvalidArgument)
	}
	for _, taken := range []string{"/run/", "/var/", "/etc/", "/usr/", "/opt/", "/sys/", "/proc/", "/dev/"} {
		if strings.HasPrefix(clean+"/", taken) {
			return Layout{}, fmt.Errorf("the node's root %q lies in the system directory %s; a node keeps its things "+
				"out of the machine's own, take one in /tmp: %w", root, taken, errdefs.ErrInvalidArgument)
		}
	}
	return Layout{Root: clean, Bin: bin, Out: out}, nil
}

// Name is the node's name: its cgroup parent and its containerd namespace for ctr.
func (l Layout) Name() string { return filepath.Base(l.Root) }

// Socket is containerd's socket.
func (l Layout) Socket() string { return l.path("run/c.sock") }

// StateDir is where kata shims keep a directory for each sandbox.
func (l Layout) StateDir() string { return l.path("vc") }

// KataConfig is the configuration.toml of the kata shim.
func (l Layout) KataConfig() string { return l.path("etc/kata.toml") }

// KataColdConfig is that of [ColdHandler].
func (l Layout) KataColdConfig() string { return l.path("etc/kata-cold.toml") }

// Log is what containerd and the shims wrote.
func (l Layout) Log() string { return l.path("containerd.log") }

// PodLogs is the directory below which CRI writes container logs.
func (l Layout) PodLogs() string { return l.path("logs") }

func (l Layout) path(rest string) string { return filepath.Join(l.Root, rest) }

// searchPath puts the shim under test first, then the node's programs, then the machine's.
func (l Layout) searchPath() string {
	path := []string{filepath.Join(l.Out, "bin")}
	if l.Over != "" {
		path = append(path, l.Over)
	}
	return strings.Join(append(path, l.Bin,
		"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin",
	), ":")
}

// containerd is the program that the node runs.
func (l Layout) containerd() string {
	if l.Over != "" {
		over := filepath.Join(l.Over, "containerd")
		if _, err := os.Stat(over); err == nil {
			return over
		}
	}
	return filepath.Join(l.Bin, "containerd")
}
