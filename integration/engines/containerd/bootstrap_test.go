// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/katapod/katapod/integration/engines/engine"
	"github.com/katapod/katapod/integration/images"
)

// containerd 2.4 learns at the shim's start, by protobuf, that it mounts by itself, and leaves the layers of EROFS
// snapshots to it: they are disks of the VM, and nothing is mounted on the host.
func TestUnmountedLayers(t *testing.T) {
	for name, c := range map[string]struct {
		config string
		files  []string // that the VMM has open
	}{
		"layers": {
			files: []string{"layer.erofs"},
		},
		"layers below a disk": {
			config: "[plugins.'io.containerd.snapshotter.v1.erofs']\n  default_size = '64MiB'\n",
			files:  []string{"layer.erofs", "rwlayer.img"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := releases()["2.4"]
			r.more = c.config
			e := r.start(t)
			if e.Runtime == engine.Runc {
				t.Skip("runc's shim takes mounted layers")
			}
			before, err := e.Inventory(engine.Context(t))
			if err != nil {
				t.Fatal(err)
			}
			const id = "unmounted"
			e.Run(t, "ctr", "run", "--detach", "--runtime", e.Runtime, "--snapshotter", "erofs", images.Busybox, id, "probe", "pause")
			wantTaskV3(t, offered(t, e, id))
			after, err := e.Inventory(engine.Context(t))
			if err != nil {
				t.Fatal(err)
			}
			for _, mount := range before.Added(after)["mounts"] {
				if strings.Contains(mount, "erofs") || strings.Contains(mount, "mount-manager") || strings.HasSuffix(mount, "/rootfs") {
					t.Errorf("%s is mounted on the host", mount)
				}
			}
			if loops := before.Added(after)["loop devices"]; len(loops) > 0 {
				t.Errorf("loop devices were made: %v", loops)
			}
			wantOpen(t, e, c.files)
			e.Want(t, "new\n", "ctr", "tasks", "exec", "--exec-id", "write", id, "sh", "-c", "echo new >/new; cat /new")
			root := e.Run(t, "ctr", "tasks", "exec", "--exec-id", "root", id, "sh", "-c", "grep ' / ' /proc/mounts")
			t.Logf("the container's root: %s", root)
			if !strings.HasPrefix(root, "overlay / overlay ") || !strings.Contains(root, "/run/kata-containers/"+id+"/layers/") {
				t.Errorf("the container's root is %q, not an overlay of the guest's mounts of the layers", root)
			}
			e.Run(t, "ctr", "tasks", "delete", "--force", id)
			e.Run(t, "ctr", "containers", "delete", id)
			e.WantNothingLeft(t)
		})
	}
}

// wantTaskV3 looks at an answer that only protobuf can carry: extensions.
func wantTaskV3(t *testing.T, got bootstrap) {
	t.Helper()
	if got.Version != 3 || !strings.Contains(string(got.Extensions), "MountCapabilities") {
		t.Errorf("the shim answered %+v at its start, want version 3 and its capabilities to mount", got)
	}
}

// wantOpen looks for the files among those that the VMM of the only pod has open.
func wantOpen(t *testing.T, e *engine.Engine, files []string) {
	t.Helper()
	processes, err := e.PodProcesses()
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, p := range processes {
		if !strings.HasPrefix(p.Name(), "qemu-system") {
			continue
		}
		descriptors, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.PID))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range descriptors {
			if target, err := os.Readlink(d); err == nil { // it may have been closed meanwhile
				open = append(open, filepath.Base(target))
			}
		}
	}
	for _, file := range files {
		if !slices.Contains(open, file) {
			t.Errorf("the VMM has %v open, and no %s", open, file)
		}
	}
}

// containerd asks the shim what it can do, and reads the answer.
func TestFeatures(t *testing.T) {
	e := releases()["2.4"].start(t)
	if e.Runtime == engine.Runc {
		t.Skip("the features are the kata shim's")
	}
	var runtime struct {
		Name     string
		Features struct {
			MountOptions []string
			Linux        struct{ Namespaces []string }
		}
	}
	decode(t, e.Run(t, "ctr", "plugins", "inspect-runtime", "--runtime", e.Runtime), &runtime)
	if runtime.Name != e.Runtime || !slices.Contains(runtime.Features.MountOptions, "rro") || !slices.Contains(runtime.Features.Linux.Namespaces, "user") {
		t.Errorf("containerd reads %+v", runtime)
	}
	// What CRI tells a kubelet of each handler: recursive read-only mounts and user namespaces work.
	for handler, f := range handlers(engine.Context(t), t, e) {
		if strings.HasPrefix(handler, "kata") && (!f.RecursiveReadOnlyMounts || !f.UserNamespaces) {
			t.Errorf("of handler %s, CRI says %+v", handler, f)
		}
	}
}

type features struct {
	RecursiveReadOnlyMounts bool `json:"recursive_read_only_mounts"`
	UserNamespaces          bool `json:"user_namespaces"`
}

// handlers are the features of CRI's runtime handlers.
func handlers(ctx context.Context, t *testing.T, e *engine.Engine) map[string]features {
	t.Helper()
	var info struct {
		RuntimeHandlers []struct {
			Name     string
			Features features
		}
	}
	out, err := e.Crictl(ctx, "info")
	if err != nil {
		t.Fatal(err)
	}
	decode(t, out, &info)
	found := map[string]features{}
	for _, h := range info.RuntimeHandlers {
		found[h.Name] = h.Features
	}
	if _, known := found["kata"]; !known {
		t.Errorf("crictl info has no handler kata: %s", out)
	}
	return found
}

func decode(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("read %s: %v", text, err)
	}
}
