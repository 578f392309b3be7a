// SPDX-License-Identifier: Apache-2.0

package sandboxns

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/agent/reaper"
	"github.com/katapod/katapod/agent/thread"
)

// NewMapped makes the namespaces of containers in a user namespace with these
// ids: all of them belong to it, as file systems like mqueue, proc and sysfs ask
// for. The network namespace has nothing but a loopback that is down.
// They are those of an anchor that r starts and collects.
func NewMapped(hostname string, uids, gids []specs.LinuxIDMapping, r *reaper.Reaper) (_ *Namespaces, err error) {
	cmd := anchor()
	cmd.SysProcAttr = &unix.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWPID | unix.CLONE_NEWNET,
		UidMappings: idMap(uids), GidMappings: idMap(gids), GidMappingsEnableSetgroups: true, Setsid: true,
		// The anchor is PID 1 of containers that share their PIDs: root, to them.
		Credential: &syscall.Credential{},
	}
	n := &Namespaces{root: rootOf(uids)}
	if err := n.startAnchor(cmd, r); err != nil {
		return nil, fmt.Errorf("make the namespaces of a user namespace: %w", err)
	}
	of := func(kind string) string { return fmt.Sprintf("/proc/%d/ns/%s", cmd.Process.Pid, kind) }
	n.User, n.IPC, n.UTS, n.PID, n.Net = of("user"), of("ipc"), of("uts"), of("pid"), of("net")
	if err := thread.Run(func() error { return n.furnish(hostname) }); err != nil {
		return nil, errors.Join(fmt.Errorf("set up the namespaces of a user namespace: %w", err), n.Close())
	}
	return n, nil
}

// furnish gives new namespaces their host name, and what was made with them to
// their root, as if he had made it himself.
func (n *Namespaces) furnish(hostname string) error {
	if err := errors.Join(enter(n.UTS, unix.CLONE_NEWUTS), enter(n.IPC, unix.CLONE_NEWIPC)); err != nil {
		return err
	}
	if hostname != "" {
		if err := unix.Sethostname([]byte(hostname)); err != nil {
			return fmt.Errorf("set the host name: %w", err)
		}
	}
	dir, err := os.MkdirTemp("", "mqueue-")
	if err != nil {
		return fmt.Errorf("make a mount point for message queues: %w", err)
	}
	if err := unix.Mount("mqueue", dir, "mqueue", 0, ""); err != nil {
		return errors.Join(fmt.Errorf("mount the message queues: %w", err), os.Remove(dir))
	}
	return errors.Join(os.Chown(dir, int(n.root), -1), unix.Unmount(dir, unix.MNT_DETACH), os.Remove(dir))
}

// rootOf is what id 0 is in the guest, itself when it is not mapped.
func rootOf(uids []specs.LinuxIDMapping) uint32 {
	for _, m := range uids {
		if m.ContainerID == 0 {
			return m.HostID
		}
	}
	return 0
}

func idMap(in []specs.LinuxIDMapping) []syscall.SysProcIDMap {
	var out []syscall.SysProcIDMap
	for _, m := range in {
		out = append(out, syscall.SysProcIDMap{ContainerID: int(m.ContainerID), HostID: int(m.HostID), Size: int(m.Size)})
	}
	return out
}
