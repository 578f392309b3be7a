// SPDX-License-Identifier: Apache-2.0

package config

// Values of Runtime.InternetworkingModel.
const (
	NetworkTCFilter = "tcfilter"
	NetworkNone     = "none"
)

// EmptyDirSharedFS is the one value of Runtime.EmptyDirMode of this version.
const EmptyDirSharedFS = "shared-fs"

// Runtime is what the section [runtime] says.
type Runtime struct {
	// Debug makes the shim talkative (enable_debug).
	Debug bool `toml:"enable_debug"`
	// InternetworkingModel is NetworkTCFilter or NetworkNone.
	InternetworkingModel string `toml:"internetworking_model"`
	// DisableGuestSeccomp drops the containers' seccomp profiles. False by
	// default, unlike upstream: a profile that somebody wrote is a security
	// setting, and this guest's kernel and OCI runtime can honour it.
	DisableGuestSeccomp bool `toml:"disable_guest_seccomp"`
	// DisableNewNetNS makes no network namespace for a pod that comes without
	// one, so that its VMM runs in the host's; it needs InternetworkingModel
	// NetworkNone. A namespace that an engine gives is used in any case.
	DisableNewNetNS bool `toml:"disable_new_netns"`
	// SandboxCgroupOnly puts the shim, the VMM and its helpers in the pod's
	// cgroup. True by default; false leaves the shim outside.
	SandboxCgroupOnly bool `toml:"sandbox_cgroup_only"`
	// StaticSandboxResourceMgmt sizes the VM once, at start. This version
	// does so with CPUs, and adds memory later in any case: false is accepted, since it is upstream's default, and
	// answered with a warning.
	StaticSandboxResourceMgmt bool `toml:"static_sandbox_resource_mgmt"`
	// CreateContainerTimeout bounds the creation of one container.
	CreateContainerTimeout Seconds `toml:"create_container_timeout"`
	// SandboxBindMounts are host directories for every container, read-only
	// unless they end in ":rw".
	SandboxBindMounts []string `toml:"sandbox_bind_mounts"`
	// DisableGuestEmptyDir keeps disk-backed emptyDir volumes on the host. True
	// is the default, as upstream.
	DisableGuestEmptyDir bool `toml:"disable_guest_empty_dir"`
	// EmptyDirMode is EmptyDirSharedFS.
	EmptyDirMode string `toml:"emptydir_mode"`
	// StateDir holds all state of all sandboxes, on tmpfs. It is a key of this
	// project.
	StateDir string `toml:"state_dir"`
}
