// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/katapod/katapod/sandbox/template"
)

// Process is a process of the node, as /proc shows it.
type Process struct {
	PID    int
	Parent int
	Args   []string
}

// String is the process as people name it: pid and the beginning of its command line.
func (p Process) String() string {
	line := strings.Join(p.Args, " ")
	if len(line) > 120 {
		line = line[:120] + "…"
	}
	return fmt.Sprintf("%d %s", p.PID, line)
}

// Name is the base name of the program.
func (p Process) Name() string {
	if len(p.Args) == 0 {
		return ""
	}
	return filepath.Base(p.Args[0])
}

// Processes are those of the node: every process that carries the node's mark in its environment, sits in the node's
// mount namespace or cgroups, or descends from such a process. Commands that this program runs inside the node are
// among them while they run.
func (l Layout) Processes() ([]Process, error) {
	all, err := listProcesses()
	if err != nil {
		return nil, err
	}
	ours := map[int]bool{}
	mounts := map[string]bool{}
	for _, p := range all {
		if l.marked(p.PID) {
			ours[p.PID] = true
			mounts[mountNamespace(p.PID)] = true
		}
	}
	delete(mounts, mountNamespace(os.Getpid())) // nsenter has the mark before it has the namespace
	delete(mounts, "")
	for _, p := range all {
		if mounts[mountNamespace(p.PID)] || l.inCgroup(p.PID) {
			ours[p.PID] = true
		}
	}
	grow(ours, all)
	var found []Process
	for _, p := range all {
		if ours[p.PID] && p.PID != os.Getpid() {
			found = append(found, p)
		}
	}
	return found, nil
}

// PodProcesses are the node's processes beside its keeper and its containerd, and beside those that build a VM
// template: that is kept for the pods to come, like an image, and belongs to none.
func (n *Node) PodProcesses() ([]Process, error) {
	all, err := n.Processes()
	if err != nil {
		return nil, err
	}
	builders := map[int]bool{}
	for _, p := range all {
		if len(p.Args) == 2 && p.Args[1] == template.Command {
			builders[p.PID] = true
		}
	}
	grow(builders, all)
	return slices.DeleteFunc(all, func(p Process) bool {
		return n.keeper != nil && p.PID == n.keeper.pid() ||
			n.containerd != nil && p.PID == n.containerd.cmd.Process.Pid || builders[p.PID]
	}), nil
}

// grow adds all that descend from the processes in the set.
func grow(set map[int]bool, all []Process) {
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if set[p.Parent] && !set[p.PID] {
				set[p.PID], grown = true, true
			}
		}
	}
}

// listProcesses lists every live process; zombies have ended and are left out.
func listProcesses() ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it ended meanwhile
		}
		// The name in parentheses may hold spaces and parentheses: read on behind the last one.
		rest := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(rest) < 2 || rest[0] == "Z" || rest[0] == "X" {
			continue
		}
		parent, _ := strconv.Atoi(rest[1])
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
		found = append(found, Process{PID: pid, Parent: parent, Args: args})
	}
	return found, nil
}

func (l Layout) marked(pid int) bool {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	for _, v := range bytes.Split(env, []byte{0}) {
		if string(v) == marker(l) {
			return true
		}
	}
	return false
}

func mountNamespace(pid int) string {
	ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", pid))
	if err != nil {
		return ""
	}
	return ns
}

func (l Layout) inCgroup(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	return err == nil && strings.Contains(string(text), ":/"+l.Name()+"/")
}

// endProcesses kills what is left of the node until nothing is.
func endProcesses(l Layout) error {
	deadline := time.Now().Add(time.Minute)
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		left, err := l.Processes()
		if err != nil || len(left) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("these processes of the node %s do not end when killed: %v", l.Root, left)
		}
		for _, p := range left {
			_ = syscall.Kill(p.PID, syscall.SIGKILL) // it may have ended meanwhile
		}
		<-time.After(wait)
	}
}

// WaitGone waits until no process of the node matches, and returns those that still do when ctx ends.
func (l Layout) WaitGone(ctx context.Context, match func(Process) bool) []Process {
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		var left []Process
		all, err := l.Processes()
		for _, p := range all {
			if match(p) {
				left = append(left, p)
			}
		}
		if err == nil && len(left) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return left
		case <-time.After(wait):
		}
	}
}
