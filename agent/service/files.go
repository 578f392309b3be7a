// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/katapod/katapod/agent/guestfs"
	"github.com/katapod/katapod/agent/guestos"
	"github.com/katapod/katapod/protocols/agentpb"
)

// CopyFile takes a piece of a file, a directory or a link from the host.
func (s *Service) CopyFile(_ context.Context, r *agentpb.CopyFileRequest) (*emptypb.Empty, error) {
	return done(s.Files.Put(guestfs.File{
		Path: r.Path, Size: r.FileSize, Mode: r.FileMode, DirMode: r.DirMode,
		UID: int(r.Uid), GID: int(r.Gid), Offset: r.Offset, Data: r.Data,
	}))
}

// UpdateEphemeralMounts changes the options of file systems in memory.
func (s *Service) UpdateEphemeralMounts(_ context.Context, r *agentpb.UpdateEphemeralMountsRequest) (*emptypb.Empty, error) {
	return done(s.Storage.Resize(r.Storages))
}

// GetVolumeStats returns how full a mounted volume is.
func (s *Service) GetVolumeStats(_ context.Context, r *agentpb.VolumeStatsRequest) (*agentpb.VolumeStatsResponse, error) {
	u, err := guestos.VolumeUsage(r.VolumeGuestPath)
	if err != nil {
		return nil, err
	}
	usage := func(a guestos.Amount, unit agentpb.VolumeUsage_Unit) *agentpb.VolumeUsage {
		return &agentpb.VolumeUsage{Available: a.Available, Total: a.Total, Used: a.Used, Unit: unit}
	}
	return &agentpb.VolumeStatsResponse{
		Usage:           []*agentpb.VolumeUsage{usage(u.Bytes, agentpb.VolumeUsage_BYTES), usage(u.Inodes, agentpb.VolumeUsage_INODES)},
		VolumeCondition: &agentpb.VolumeCondition{},
	}, nil
}

// ResizeVolume grows a mounted volume.
func (s *Service) ResizeVolume(_ context.Context, r *agentpb.ResizeVolumeRequest) (*emptypb.Empty, error) {
	return done(guestos.ResizeVolume(r.VolumeGuestPath, r.Size))
}

// RemoveStaleVirtiofsShareMounts looks at every mount below the share, upon
// which the host's daemon drops what it has cached of those that are gone.
func (s *Service) RemoveStaleVirtiofsShareMounts(context.Context, *agentpb.RemoveStaleVirtiofsShareMountsRequest) (*emptypb.Empty, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list the guest's mounts: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) > 4 && strings.HasPrefix(words[4], s.Paths.Run+"/shared/containers/") {
			// The look is all; what is stale fails, and that is no error.
			_, _ = os.Stat(words[4])
		}
	}
	return &emptypb.Empty{}, nil
}

// Contract of GetDiagnosticData.
const (
	terminationLog           = "termination_log"
	terminationLogMax        = 4 << 10
	terminationLogAnnotation = "io.kubernetes.container.terminationMessagePath"
)

// GetDiagnosticData returns the message that a container left where its
// specification says, the last 4 KiB of it.
func (s *Service) GetDiagnosticData(_ context.Context, r *agentpb.GetDiagnosticDataRequest) (*agentpb.GetDiagnosticDataResponse, error) {
	if r.LogType != terminationLog {
		return nil, fmt.Errorf("no log of type %q, there is %q: %w", r.LogType, terminationLog, errdefs.ErrNotImplemented)
	}
	c, err := s.containers.Get(r.ContainerId)
	if err != nil {
		return nil, err
	}
	text, err := readTermination(c.Spec())
	if err != nil {
		return nil, fmt.Errorf("read the termination message of container %s: %w", c.ID(), err)
	}
	return &agentpb.GetDiagnosticDataResponse{Data: text}, nil
}

// readTermination reads the file behind the mount at the message's path, or the
// file in the container's root, never following a link of the container's out
// of it. A container that left none has an empty message.
func readTermination(spec *specs.Spec) (string, error) {
	path := spec.Annotations[terminationLogAnnotation]
	if path == "" {
		path = "/dev/termination-log"
	}
	root, name := spec.Root.Path, path
	for _, m := range spec.Mounts {
		if m.Destination == path {
			root, name = "/", m.Source
		}
	}
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = unix.Close(dir) }()
	fd, err := unix.Openat2(dir, name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if errors.Is(err, unix.ENOENT) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	f := os.NewFile(uintptr(fd), path)
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no file: %w", path, errdefs.ErrFailedPrecondition)
	}
	data, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-terminationLogMax), terminationLogMax))
	return strings.ToValidUTF8(string(data), "\ufffd"), err
}
