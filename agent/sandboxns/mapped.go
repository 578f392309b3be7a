// SPDX-License-Identifier: Apache-2.0

package sandboxns

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/agent/reaper"
	"github.com/katapod/katapod/agent/thread"
)

// NewMapped makes the namespaces of containers in a user namespace with these
// ids: all of them belong to it, as file systems like mqueue and proc ask for.
// They are those of an anchor that r starts and collects.
func NewMapped(hostname string, uids, gids []specs.LinuxIDMapping, r *reaper.Reaper) (_ *Namespaces, err error) {
	cmd := exec.Command("/proc/self/exe", AnchorArgument)
	cmd.SysProcAttr = &unix.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWPID,
		UidMappings: idMap(uids), GidMappings: idMap(gids), GidMappingsEnableSetgroups: true, Setsid: true,
	}
	n := &Namespaces{root: rootOf(uids)}
	if err := n.startAnchor(cmd, r); err != nil {
		return nil, fmt.Errorf("make the namespaces of a user namespace: %w", err)
	}
	of := func(kind string) string { return fmt.Sprintf("/proc/%d/ns/%s", cmd.Process.Pid, kind) }
	n.User, n.IPC, n.UTS, n.PID = of("user"), of("ipc"), of("uts"), of("pid")
	if hostname == "" {
		return n, nil
	}
	err = thread.Run(func() error {
		if err := enter(n.UTS, unix.CLONE_NEWUTS); err != nil {
			return err
		}
		return unix.Sethostname([]byte(hostname))
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set the host name of a user namespace: %w", err), n.Close())
	}
	return n, nil
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
