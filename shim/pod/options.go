// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/sizing"
	"github.com/katapod/katapod/shim/podkind"
)

// Origin is the container that a pod is made for: the one that stands for it,
// or a lone one.
type Origin struct {
	ID, Namespace, Bundle string
	Kind                  podkind.Kind
	Spec                  *specs.Spec
}

// Options derives the pod from the spec of that container.
func (o Origin) Options(c config.Config) (sandbox.Options, error) {
	options := sandbox.Options{
		ID: o.ID, Namespace: o.Namespace, Bundle: o.Bundle, Config: c,
		ShmSize: shmSize(o.Spec.Mounts),
	}
	var err error
	if options.Hostname, err = hostname(o.Spec); err != nil {
		return sandbox.Options{}, err
	}
	if options.NetNS, err = networkNamespace(o.Spec, c); err != nil {
		return sandbox.Options{}, err
	}
	if o.Kind == podkind.Sandbox && !hasNamespace(o.Spec, specs.IPCNamespace) {
		return sandbox.Options{}, ErrHostIPC
	}
	if options.DNS, err = resolvConf(o.Spec.Mounts); err != nil {
		return sandbox.Options{}, err
	}
	if options.Resources, err = o.resources(); err != nil {
		return sandbox.Options{}, err
	}
	if l := o.Spec.Linux; l != nil {
		options.Sysctls = l.Sysctl
		options.CgroupPath = l.CgroupsPath
	}
	return options, nil
}

// hostname is the spec's, or the host's, which a new UTS namespace begins with.
func hostname(s *specs.Spec) (string, error) {
	if s.Hostname != "" {
		return s.Hostname, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("the spec has no hostname, and the host's cannot be read: %w", err)
	}
	return name, nil
}

// resources is what a CRI engine announces for the whole pod, or the limits of
// a container that is alone.
func (o Origin) resources() (sizing.Request, error) {
	if o.Kind == podkind.Lone {
		return sizing.FromSpec(o.Spec), nil
	}
	return sizing.FromAnnotations(o.Spec.Annotations)
}

// ErrHostNetwork refuses the host's network, in every engine with the same words.
// It is errdefs.ErrNotImplemented.
var ErrHostNetwork = fmt.Errorf("the host's network was asked for, which a VM cannot share; "+
	"publish the ports instead (hostPort, docker run -p), or run this pod with another runtime: %w", errdefs.ErrNotImplemented)

// ErrHostIPC refuses the host's IPC for a whole pod. The spec of its containers
// does not tell: they join the namespace of the container that stands for the
// pod, which is the host's. It is errdefs.ErrNotImplemented.
var ErrHostIPC = fmt.Errorf("the host's IPC was asked for, which is another kernel's; "+
	"use the pod's (hostIPC: false), or run this pod with another runtime: %w", errdefs.ErrNotImplemented)

func hasNamespace(s *specs.Spec, kind specs.LinuxNamespaceType) bool {
	return s.Linux != nil && slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind })
}

// networkNamespace is the path of the pod's namespace, "" for a private one. A
// spec without a network namespace asks for the host's, which a VM cannot have.
func networkNamespace(s *specs.Spec, c config.Config) (string, error) {
	if s.Linux != nil {
		for _, n := range s.Linux.Namespaces {
			if n.Type == specs.NetworkNamespace {
				return n.Path, nil
			}
		}
	}
	if c.Runtime.DisableNewNetNS {
		return "", nil
	}
	return "", ErrHostNetwork
}

// resolvConf returns the lines of the file that is mounted as /etc/resolv.conf.
func resolvConf(mounts []specs.Mount) ([]string, error) {
	for _, m := range mounts {
		if m.Destination != "/etc/resolv.conf" {
			continue
		}
		text, err := readSmall(m.Source)
		if err != nil {
			return nil, fmt.Errorf("read the pod's resolv.conf: %w", err)
		}
		return Lines(text), nil
	}
	return nil, nil
}

// maxSmall bounds a file of settings, in bytes.
const maxSmall = 1 << 20

// readSmall reads a file that a spec names. What is no file could be endless or
// never answer, and is refused.
func readSmall(path string) (string, error) {
	// Not to wait for the writer of a FIFO.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%w: %w", err, errdefs.ErrNotFound)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", err, errdefs.ErrInvalidArgument)
	}
	defer f.Close() // read only: nothing to lose
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSmall {
		return "", fmt.Errorf("%s is no file of at most %d bytes: %w", path, maxSmall, errdefs.ErrInvalidArgument)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSmall))
	if err != nil {
		return "", fmt.Errorf("%w: %w", err, errdefs.ErrInvalidArgument)
	}
	return string(text), nil
}

// Lines splits text and leaves empty lines out.
func Lines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
