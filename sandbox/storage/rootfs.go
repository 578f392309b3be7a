// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"fmt"
	"path"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/protocols/agentpb"
)

// Root is how a container's root file system reaches the guest: over the share
// (HostMounts) or as Disks.
type Root struct {
	// GuestPath is the root's path in the guest, for the OCI spec.
	GuestPath string
	// HostMounts are made on the host in this order; empty when Disks are used.
	HostMounts []HostMount
	// Disks are plugged and mounted in this order; empty when the share is used.
	Disks []Disk
	// Overlay joins the disks; nil when the one disk is the root itself, or the
	// share is used.
	Overlay *agentpb.Storage
}

// PlanRootfs plans the root file system of container cid. rootfs is what
// containerd handed over with the create request; when it is empty, the root is
// mounted at bundleRootfs already. A mount that is none of the supported ones is
// errdefs.ErrNotImplemented and named; one that the VM cannot take is
// errdefs.ErrFailedPrecondition.
func PlanRootfs(cid string, rootfs []Mount, bundleRootfs string, c Capabilities) (Root, error) {
	if err := checkID(cid); err != nil {
		return Root{}, err
	}
	if len(rootfs) == 0 {
		rootfs = []Mount{{Type: "bind", Source: bundleRootfs, Options: []string{"rbind", "rw"}}}
	}
	root, err := planRoot(cid, rootfs, c)
	if err != nil {
		return Root{}, fmt.Errorf("root file system of container %s: %w", cid, err)
	}
	return root, nil
}

// SharesRoot tells whether a container's root file system reaches the guest by the
// share. rootfs is as in [PlanRootfs].
func SharesRoot(rootfs []Mount) bool {
	return len(rootfs) == 0 || len(rootfs) == 1 && onShare(rootfs[0])
}

func onShare(m Mount) bool { return m.Type == "overlay" || isBind(m) }

// checkID keeps ids that become parts of paths harmless.
func checkID(cid string) error {
	if cid == "" || cid == "." || cid == ".." || strings.ContainsAny(cid, "/\x00") || len(cid) > 200 {
		return fmt.Errorf("container id %q cannot be a file name: %w", cid, errdefs.ErrInvalidArgument)
	}
	return nil
}

func planRoot(cid string, rootfs []Mount, c Capabilities) (Root, error) {
	last := rootfs[len(rootfs)-1]
	switch {
	case len(rootfs) == 1 && onShare(last):
		return shareRoot(cid, last, c)
	}
	if err := refuseMapped(rootfs); err != nil {
		return Root{}, err
	}
	if len(rootfs) == 1 {
		return diskRoot(cid, last, c)
	}
	return layeredRoot(cid, rootfs, c)
}

// refuseMapped refuses disks whose ids are to be mapped, which containerd says of
// a user namespace's layers; those on the share are mapped on the host.
func refuseMapped(rootfs []Mount) error {
	for _, m := range rootfs {
		for _, option := range m.Options {
			if strings.HasPrefix(option, "uidmap=") || strings.HasPrefix(option, "gidmap=") {
				return fmt.Errorf("mount of type %q with option %q: ids of disks are not mapped; "+
					"use containerd's snapshotter overlayfs for pods with hostUsers: false: %w", m.Type, option, errdefs.ErrNotImplemented)
			}
		}
	}
	return nil
}

func isBind(m Mount) bool {
	return m.Type == "bind" || hasOption(m.Options, "bind") || hasOption(m.Options, "rbind")
}

// shareRoot mounts the root below the shared directory.
func shareRoot(cid string, m Mount, c Capabilities) (Root, error) {
	if !c.SharedFS {
		return Root{}, fmt.Errorf("a mount of type %q needs a file system shared with the host, but shared_fs is \"none\"; "+
			"use shared_fs = \"virtio-fs\" or containerd's snapshotter erofs or blockfile: %w", m.Type, errdefs.ErrFailedPrecondition)
	}
	return Root{
		GuestPath: SharedRoot(cid),
		HostMounts: []HostMount{{
			Type: m.Type, Source: m.Source, Options: m.Options, Target: path.Join(cid, "rootfs"),
		}},
	}, nil
}
