// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
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
// by its inode.
func (n *Node) listLocks(context.Context) ([]string, error) {
	text, err := os.ReadFile("/proc/locks")
	if err != nil {
		return nil, fmt.Errorf("list the locks of files: %w", err)
	}
	ours, err := n.PodProcesses()
	if err != nil {
		return nil, err
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line) // proc_locks(5): 1: FLOCK ADVISORY WRITE pid major:minor:inode start end
		if len(fields) < 6 || fields[1] == "->" {
			continue
		}
		owned := slices.ContainsFunc(ours, func(p Process) bool { return fmt.Sprint(p.PID) == fields[4] })
		if owned {
			found = append(found, fields[1]+" "+lockedFile(fields[4], fields[5]))
		}
	}
	return found, nil
}

// lockedFile is the file of a lock as the process names it that holds it.
func lockedFile(pid, file string) string {
	dir := "/proc/" + pid + "/fd/"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return file // the process has just ended
	}
	for _, e := range entries {
		var info syscall.Stat_t
		if err := syscall.Stat(dir+e.Name(), &info); err != nil || !strings.HasSuffix(file, fmt.Sprintf(":%d", info.Ino)) {
			continue
		}
		if name, err := os.Readlink(dir + e.Name()); err == nil {
			return name
		}
	}
	return file
}
