// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/sizing"
	guestspec "github.com/katapod/katapod/sandbox/spec"
	"github.com/katapod/katapod/sandbox/storage"
	"github.com/katapod/katapod/shim/podkind"
)

// Origin is the container that a pod is made for: the one that stands for it,
// or a lone one.
type Origin struct {
	ID, Namespace, Bundle string
	Kind                  podkind.Kind
	Spec                  *specs.Spec
	// Rootfs is its root file system, as the engine handed it over.
	Rootfs []storage.Mount
}

// Options derives the pod from the spec of that container.
func (o Origin) Options(c config.Config) (sandbox.Options, error) {
	options := sandbox.Options{
		ID: o.ID, Namespace: o.Namespace, Bundle: o.Bundle, Config: c,
		ShmSize: shmSize(o.Spec.Mounts),
		// One snapshotter makes the roots of all containers of a pod.
		SharesSoon: storage.SharesRoot(o.Rootfs),
	}
	var err error
	if options.Hostname, err = hostname(o.Spec); err != nil {
		return sandbox.Options{}, err
	}
	if options.NetNS, err = networkNamespace(o.Spec, c); err != nil {
		return sandbox.Options{}, err
	}
	if err := o.refuseHost(); err != nil {
		return sandbox.Options{}, err
	}
	if err := guestspec.CheckUserNamespace(o.Spec.Linux); err != nil {
		return sandbox.Options{}, fmt.Errorf("OCI spec of container %s: %w", o.ID, err)
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
