// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// listSockets lists the named unix sockets of the node's network namespace. The processes of pods have theirs in it,
// too, whatever network namespace they are in, when a process of the node connects to them.
func (n *Node) listSockets(context.Context) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/unix", n.keeper.pid()))
	if err != nil {
		return nil, fmt.Errorf("list the node's unix sockets: %w", err)
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		const nameField = 7 // proc_net(5): Num RefCount Protocol Flags Type St Inode Path
		fields := strings.Fields(line)
		if len(fields) > nameField && fields[0] != "Num" && !strings.HasPrefix(fields[nameField], n.templates()+"/") {
			found = append(found, fields[nameField])
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// listLocks lists the file locks of the node's processes but containerd's, by the file; one that has no name is listed
// by its device and inode. The process of a lock is who took it, and may be gone: then it is a lock of those that have
// the file open. The guest's image is left out.
func (n *Node) listLocks(context.Context) ([]string, error) {
	text, err := os.ReadFile("/proc/locks")
	if err != nil {
		return nil, fmt.Errorf("list the locks of files: %w", err)
	}
	ours, err := n.PodProcesses()
	if err != nil {
		return nil, err
	}
	open := map[string]string{}
	for _, p := range ours {
		addOpenFiles(open, p.PID)
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line) // proc_locks(5): 1: FLOCK ADVISORY WRITE pid major:minor:inode start end
		if len(fields) < 6 || fields[1] == "->" {
			continue
		}
		owned := slices.ContainsFunc(ours, func(p Process) bool { return fmt.Sprint(p.PID) == fields[4] })
		name, is := open[fields[5]]
		if strings.HasPrefix(name, filepath.Join(n.Out, "guest")+"/") {
			continue // every VM reads it, also one that a template is made with
		}
		if is || owned {
			found = append(found, fields[1]+" "+cmp.Or(name, fields[5]))
		}
	}
	return found, nil
}

// addOpenFiles adds the names of what a process has open, by device and inode as proc_locks(5) writes them.
func addOpenFiles(open map[string]string, pid int) {
	dir := fmt.Sprintf("/proc/%d/fd/", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // it has just ended
	}
	for _, e := range entries {
		var info unix.Stat_t
		if unix.Stat(dir+e.Name(), &info) != nil {
			continue
		}
		if name, err := os.Readlink(dir + e.Name()); err == nil {
			open[fmt.Sprintf("%02x:%02x:%d", unix.Major(info.Dev), unix.Minor(info.Dev), info.Ino)] = name
		}
	}
}
