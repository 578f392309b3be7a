// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/katapod/katapod/sandbox/config"
)

// Inventory is what exists of a node at one moment, by kind: processes, mounts, interfaces, tc, cgroups, loop
// devices, files (directories and sockets that runtimes make), unix sockets by their paths, file locks by the file.
type Inventory map[string][]string

// InventoryKinds are the kinds of an Inventory in the order to print them.
func InventoryKinds() []string {
	return []string{"processes", "mounts", "interfaces", "tc", "cgroups", "loop devices", "files", "sockets", "locks"}
}

// Inventory looks at everything a pod could leave behind.
func (n *Node) Inventory(ctx context.Context) (Inventory, error) {
	processes, err := n.Leftovers()
	if err != nil {
		return nil, err
	}
	found := Inventory{"processes": processes}
	for kind, list := range map[string]func(context.Context) ([]string, error){
		"mounts": n.listMounts, "interfaces": n.listInterfaces, "tc": n.listTC,
		"loop devices": n.listLoops, "files": n.listFiles, "sockets": n.listSockets, "locks": n.listLocks,
	} {
		if found[kind], err = list(ctx); err != nil {
			return nil, err
		}
	}
	found["cgroups"], err = n.Cgroups()
	return found, err
}

// Added lists what is in after and was not in before, by kind. What is there more often than before is listed as often:
// a mount over another one has the same path.
func (before Inventory) Added(after Inventory) Inventory {
	added := Inventory{}
	for kind, things := range after {
		known := map[string]int{}
		for _, thing := range before[kind] {
			known[thing]++
		}
		for _, thing := range things {
			if known[thing]--; known[thing] < 0 {
				added[kind] = append(added[kind], thing)
			}
		}
	}
	return added
}

// WaitEmpty waits, at most a minute, until nothing exists beside what was before, and returns what does after
// that. Shims and CNI end a moment after the call that removes a pod has returned.
func (n *Node) WaitEmpty(ctx context.Context, before Inventory) (Inventory, error) {
	return n.WaitEmptyBut(ctx, before, func(string, string) bool { return false })
}

// WaitEmptyBut is WaitEmpty without the things that the function picks.
func (n *Node) WaitEmptyBut(ctx context.Context, before Inventory, ignore func(kind, thing string) bool) (Inventory, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		now, err := n.Inventory(context.WithoutCancel(ctx))
		if err != nil {
			return nil, err
		}
		for kind := range now {
			now[kind] = slices.DeleteFunc(now[kind], func(thing string) bool { return ignore(kind, thing) })
		}
		added := before.Added(now)
		if len(added) == 0 || ctx.Err() != nil {
			return added, nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// String is one line for each thing.
func (before Inventory) String() string {
	var lines []string
	for _, kind := range InventoryKinds() {
		for _, thing := range before[kind] {
			lines = append(lines, kind+": "+thing)
		}
	}
	return strings.Join(lines, "\n")
}

// Leftovers are the node's processes beside its keeper and its containerd: those of pods, and what they left.
func (n *Node) Leftovers() ([]string, error) {
	processes, err := n.PodProcesses()
	if err != nil {
		return nil, err
	}
	var left []string
	for _, p := range processes {
		left = append(left, p.String())
	}
	return left, nil
}

func (n *Node) listMounts(context.Context) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", n.keeper.pid()))
	if err != nil {
		return nil, fmt.Errorf("list the node's mounts: %w", err)
	}
	var points []string
	for line := range strings.Lines(string(text)) {
		points = append(points, strings.Fields(line)[4])
	}
	return points, nil
}

// listInterfaces leaves out the bridge, which the CNI plugin keeps for the next pod.
func (n *Node) listInterfaces(ctx context.Context) ([]string, error) {
	out, err := n.Runner().Run(ctx, "ip", "-brief", "link")
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(out) {
		name, _, _ := strings.Cut(strings.Fields(line)[0], "@")
		if name != "cni0" {
			names = append(names, name)
		}
	}
	return names, nil
}

func (n *Node) listTC(ctx context.Context) ([]string, error) {
	out, err := n.Runner().Run(ctx, "tc", "qdisc", "show")
	if err != nil {
		return nil, err
	}
	var found []string
	for line := range strings.Lines(out) {
		if !strings.Contains(line, "noqueue") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found, nil
}

func (n *Node) listLoops(ctx context.Context) ([]string, error) {
	out, err := n.Runner().Run(ctx, "losetup", "--noheadings", "--list", "--output", "NAME,BACK-FILE")
	if err != nil {
		return nil, err
	}
	var found []string
	for line := range strings.Lines(out) {
		if strings.Contains(line, n.Root+"/") {
			found = append(found, strings.Join(strings.Fields(line), " "))
		}
	}
	return found, nil
}

// listFiles looks where runtimes put things: sandbox state, sockets, bundles, network namespaces, /run. What belongs
// to the node itself or to CNI as a whole is left out, and the VM templates and reports of failures, which are the
// node's like its images.
func (n *Node) listFiles(context.Context) ([]string, error) {
	var found []string
	root := n.Inside("")
	for _, top := range []string{
		n.StateDir(), n.path("run"), n.path("runc"), n.path("state"), "/run",
	} {
		err := filepath.WalkDir(root+top, func(inside string, entry fs.DirEntry, err error) error {
			path := strings.TrimPrefix(inside, root)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case path == n.templates(), path == n.failures(), path == "/run"+findings+starts:
				return fs.SkipDir
			case path == top || entry.Name() == n.Name() || permanent(entry.Name()):
				return nil
			case filepath.Dir(path) == "/run"+findings:
				return nil
			case entry.IsDir() && (entry.Name() == "ipam" || entry.Name() == ".work" || entry.Name() == "rootfs"):
				return fs.SkipDir
			}
			found = append(found, path)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("list the node's files: %w", err)
		}
	}
	return found, nil
}

// findings is where the kata shim keeps, until the next boot of the host, what it found out about it. The sockets of
// pods are in a directory of their own below it.
const findings = "/katapod"

// starts is where pods that start take turns, below findings. A place is a file that stays; who is in it has a lock.
const starts = "/starts"

// templates is where the kata shim keeps saved VMs for the pods to come.
func (l Layout) templates() string { return filepath.Join(l.StateDir(), "vm", "template") }

// failures is where the kata shim keeps the last reports of pods that failed, of all that there ever were.
func (l Layout) failures() string { return config.Runtime{StateDir: l.StateDir()}.FailuresDir() }

// permanent tells the names of directories and files that stay for the next pod whatever the runtime does.
func permanent(name string) bool {
	switch name {
	case "xtables.lock", "cni", "results", "cache", "k8s.io", "default", "containerd", "fifo", "containers", "netns", "sandboxes", "sbs", "vm",
		"katapod", "s": // /run/katapod/s is for the shims' sockets where containerd names no directory
		return true
	}
	return false
}
