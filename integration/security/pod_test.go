// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/node"
)

// pod is a pod with one container and what it has of the host.
type pod struct {
	spec     node.Pod
	id, main string
	vmm      int // process id
	// volume is a directory and file a file of the host that the container may write to, and reading a directory that
	// it may read; outside is a directory of the host beside them that it must not reach.
	volume, file, reading, outside string
}

const (
	secret   = "a secret of the host" // no guest may read it
	readable = "a text of the host"   // no guest may change it
)

// startPod starts a pod whose container waits, with the security context of CRI.
func startPod(ctx context.Context, name string, security map[string]any) (*pod, error) {
	base := filepath.Join(shared.Root, name)
	p := &pod{
		spec:   node.Pod{Name: name, Handler: "kata", Privileged: security["privileged"] != nil},
		volume: filepath.Join(base, "volume"), file: filepath.Join(base, "resolv.conf"), outside: filepath.Join(base, "outside"),
		reading: filepath.Join(base, "reading"),
	}
	for _, dir := range []string{p.volume, p.reading, p.outside} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("make a directory of the host: %w", err)
		}
	}
	for path, text := range map[string]string{
		p.file: "nameserver 192.0.2.1\n", filepath.Join(p.reading, "text"): readable, filepath.Join(p.outside, "secret"): secret,
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("make a file of the host: %w", err)
		}
	}
	var err error
	if p.id, err = shared.RunPod(ctx, p.spec); err != nil {
		return nil, err
	}
	var inspected struct{ Info struct{ PID int } }
	if err := shared.CrictlJSON(ctx, &inspected, "inspectp", p.id); err != nil {
		return nil, err
	}
	p.vmm = inspected.Info.PID
	p.main, err = shared.StartContainer(ctx, p.id, p.spec, node.Container{
		Name: "main", Image: images.Busybox, Args: []string{"probe", "pause"},
		Mounts: []node.Mount{
			{ContainerPath: "/volume", HostPath: p.volume}, {ContainerPath: "/etc/file", HostPath: p.file},
			{ContainerPath: "/reading", HostPath: p.reading, Readonly: true},
		},
		Linux: map[string]any{"security_context": security},
	})
	return p, err
}

// sh runs a script in the pod's container and returns what it prints, errors among it.
func (p *pod) sh(ctx context.Context, t *testing.T, script string) string {
	t.Helper()
	return shIn(ctx, t, p.main, script)
}

func shIn(ctx context.Context, t *testing.T, container, script string) string {
	t.Helper()
	out, err := shared.Crictl(ctx, "exec", container, "sh", "-c", "exec 2>&1\n"+script+"\ntrue")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// state is the pod's directory on the host.
func (p *pod) state(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(shared.StateDir(), "sbs", p.id+"@*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the state directories of pod %s are %v, error %v", p.id, found, err)
	}
	return found[0]
}

// sockets is the directory of the pod's VM.
func (p *pod) sockets(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(shared.StateDir(), "vm", p.id[:8]+"-*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the directories of the VM of pod %s are %v, error %v", p.id, found, err)
	}
	return found[0]
}

// daemons are the processes of the pod's virtiofsd.
func (p *pod) daemons(t *testing.T) []int {
	t.Helper()
	all, err := shared.PodProcesses()
	if err != nil {
		t.Fatal(err)
	}
	shim := parent(t, p.vmm)
	of := map[int]bool{shim: true}
	var found []int
	for grown := true; grown; {
		grown = false
		for _, process := range all {
			if of[process.Parent] && !of[process.PID] && process.Name() == "virtiofsd" {
				of[process.PID], grown = true, true
				found = append(found, process.PID)
			}
		}
	}
	return found
}

func parent(t *testing.T, pid int) int {
	t.Helper()
	var ppid int
	if _, err := fmt.Sscan(field(t, pid, "PPid"), &ppid); err != nil {
		t.Fatal(err)
	}
	return ppid
}

// field is a line of /proc/<pid>/status.
func field(t *testing.T, pid int, name string) string {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	t.Fatalf("process %d has no %s", pid, name)
	return ""
}

// mounts are the options of a process's mounts, by their places.
func mounts(t *testing.T, pid int) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 5 {
			found[fields[4]] = strings.Split(fields[5], ",")
		}
	}
	return found
}
