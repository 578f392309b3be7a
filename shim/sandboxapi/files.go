// SPDX-License-Identifier: Apache-2.0

package sandboxapi

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// podFiles writes the files that containers of a pod expect below /etc into the
// sandbox's bundle and returns how they are mounted.
func podFiles(bundle, hostname, resolvConf string) ([]specs.Mount, error) {
	var mounts []specs.Mount
	for _, f := range [...]struct{ name, text string }{
		{"hostname", hostname + "\n"},
		{"hosts", hosts(hostname)},
		{"resolv.conf", resolvConf},
	} {
		path := filepath.Join(bundle, f.name)
		if err := os.WriteFile(path, []byte(f.text), 0o644); errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("write a file for the pod's containers: the bundle is absent: %w: %w", err, errdefs.ErrNotFound)
		} else if err != nil {
			return nil, fmt.Errorf("write a file for the pod's containers: %w: %w", err, errdefs.ErrUnavailable)
		}
		mounts = append(mounts, specs.Mount{
			Destination: "/etc/" + f.name, Type: "bind", Source: path,
			Options: []string{"rbind", "rprivate", "rw"},
		})
	}
	return append(mounts, podShm()), nil
}

// podShm is the /dev/shm that the pod's containers share. An engine that leaves the
// pod to the shim gives each container one of its own.
func podShm() specs.Mount {
	return specs.Mount{Destination: "/dev/shm", Type: "bind", Source: "/dev/shm", Options: []string{"rbind", "rprivate", "rw"}}
}

// hosts is what a host's own file has for itself. Kubernetes mounts another one
// over it, with the pod's address.
func hosts(hostname string) string {
	return "127.0.0.1\tlocalhost\n127.0.1.1\t" + hostname + "\n" +
		"::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
}

// resolvConf is resolv.conf(5) of the pod's configuration; one that says
// nothing means the host's.
func (c podConfig) resolvConf() (string, error) {
	if len(c.servers)+len(c.searches)+len(c.dnsOpt) == 0 {
		text, err := os.ReadFile("/etc/resolv.conf")
		if err != nil && !os.IsNotExist(err) {
			return "", fmt.Errorf("read the host's resolv.conf, which the pod is to have: %w", err)
		}
		return string(text), nil
	}
	var b strings.Builder
	if len(c.searches) > 0 {
		fmt.Fprintln(&b, "search", strings.Join(c.searches, " "))
	}
	for _, server := range c.servers {
		fmt.Fprintln(&b, "nameserver", server)
	}
	if len(c.dnsOpt) > 0 {
		fmt.Fprintln(&b, "options", strings.Join(c.dnsOpt, " "))
	}
	return b.String(), nil
}
