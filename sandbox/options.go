// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"regexp"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/sizing"
)

// Options describe the pod to make. They are a value: New keeps a copy, and
// nobody changes its maps and slices any more.
type Options struct {
	// ID names the pod on the host and in the guest: letters, digits and
	// "_.-", at most 128 of them. Namespace is containerd's. Bundle is the OCI
	// bundle of the container that stands for the pod, or of the lone container.
	ID, Namespace, Bundle string
	// Config has the pod's annotations applied already.
	Config config.Config
	// NetNS is the path of the pod's network namespace; empty makes a private
	// one, which an engine may fill until the first container is started.
	NetNS string
	// Hostname is the guest's; it is cut to the kernel's 64 bytes. DNS are the
	// lines of its resolv.conf.
	Hostname string
	DNS      []string
	// SharedPIDNS makes the pod's containers share one PID namespace.
	SharedPIDNS bool
	// ShmSize is the size of the pod's /dev/shm in bytes; 0 means 64 MiB, which
	// is what engines give a container.
	ShmSize uint64
	// Sysctls of the pod's own container. They apply in the containers'
	// namespaces: the shim puts them in each container's spec.
	Sysctls map[string]string
	// CgroupPath is linux.cgroupsPath of the container that stands for the pod;
	// the pod's cgroup on the host lies beside it, see hostcgroup.PathFor.
	CgroupPath string
	// SharesSoon says that the pod's containers will surely need files of the host
	// that reach the guest through a shared file system. It is then made with the VM
	// rather than when the first of them needs it.
	SharesSoon bool
	// Resources is what the pod's containers ask for, as far as it is known.
	Resources sizing.Request
	// Asked is called each time that the pod asked its agent by itself whether it
	// lives, one call after the other; nil is nothing. It must not block.
	Asked func()
}

// validID keeps ids usable as file names on both sides.
func validID(what, id string) error {
	if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`).MatchString(id) {
		return fmt.Errorf("%s %q: letters, digits and _.- are allowed, at most 128: %w", what, id, errdefs.ErrInvalidArgument)
	}
	return nil
}

const (
	// defaultShmSize is what engines give a container's /dev/shm, in bytes.
	defaultShmSize = 64 << 20
	// maxHostname is the kernel's __NEW_UTS_LEN.
	maxHostname = 64
)

// shmSize is the size of the pod's /dev/shm in bytes.
func (o Options) shmSize() uint64 {
	if o.ShmSize == 0 {
		return defaultShmSize
	}
	return o.ShmSize
}

// hostname is what the guest is called.
func (o Options) hostname() string { return o.Hostname[:min(len(o.Hostname), maxHostname)] }
