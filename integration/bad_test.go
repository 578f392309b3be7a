// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/node"
)

// Every wrong input gives one error that names its cause, soon, and leaves nothing behind.
func TestBadInput(t *testing.T) {
	if shared.runtime == "runc" {
		t.Skip("what is wrong here is wrong for virtual machines only")
	}
	dir := t.TempDir()
	corrupt := filepath.Join(dir, "corrupt.img")
	if err := os.WriteFile(corrupt, []byte(strings.Repeat("not an image ", 4096)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name        string
		change      map[string]string // keys of the configuration and what they get, as TOML
		annotations map[string]string
		hostNetwork bool
		says        []string // what the error has to name
	}{
		{name: "missing kernel", change: map[string]string{"kernel": `"/nowhere/vmlinux"`}, says: []string{"/nowhere/vmlinux", "kernel"}},
		{name: "missing image", change: map[string]string{"image": `"/nowhere/root.img"`}, says: []string{"/nowhere/root.img", "image"}},
		{name: "corrupt kernel", change: map[string]string{"kernel": `"` + corrupt + `"`}, says: []string{"corrupt.img"}},
		{name: "corrupt image", change: map[string]string{"image": `"` + corrupt + `"`}, says: []string{"image"}},
		{name: "missing QEMU", change: map[string]string{"path": `"/nowhere/qemu"`}, says: []string{"/nowhere/qemu"}},
		{name: "missing virtiofsd", change: map[string]string{"virtio_fs_daemon": `"/nowhere/virtiofsd"`}, says: []string{"/nowhere/virtiofsd"}},
		{name: "value of the wrong type", change: map[string]string{"default_vcpus": `"many"`}, says: []string{"default_vcpus", ".toml"}},
		{name: "value not allowed", change: map[string]string{"machine_type": `"abacus"`}, says: []string{"machine_type", "abacus"}},
		{name: "memory too small", change: map[string]string{"default_memory": "1"}, says: []string{"default_memory"}},
		{
			name: "annotation not allowed", annotations: map[string]string{"io.katacontainers.config.hypervisor.kernel_params": "x"},
			says: []string{"kernel_params", "enable_annotations"},
		},
		{
			name: "annotation with a wrong value", annotations: map[string]string{"io.katacontainers.config.hypervisor.default_memory": "lots"},
			says: []string{"default_memory", "lots"},
		},
		{name: "the node's network", hostNetwork: true, says: []string{"network"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := node.Pod{Name: "bad", Handler: "kata", Annotations: map[string]string{}, HostNetwork: c.hostNetwork}
			for k, v := range c.annotations {
				spec.Annotations[k] = v
			}
			if c.change != nil {
				spec.Annotations["io.katacontainers.config_path"] = changedConfig(t, c.change)
			}
			expectRefused(t, spec, c.says)
		})
	}
}

// expectRefused runs the pod, which has to fail with one error that has all the words: within five seconds, or sooner
// than a good pod starts where the machine is too busy for that.
func expectRefused(t *testing.T, spec node.Pod, says []string) {
	t.Helper()
	ctx := begin(t)
	before, err := shared.Inventory(ctx)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	id, err := shared.RunPod(ctx, spec)
	took := time.Since(start)
	if err == nil {
		if err := shared.RemovePod(ctx, id); err != nil {
			t.Error(err)
		}
		t.Fatal("the pod started")
	}
	for _, word := range says {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not name %q: %v", word, err)
		}
	}
	if took > 5*time.Second {
		if whole := startOfAPod(ctx, t); took > whole {
			t.Errorf("the error came after %s, a good pod takes %s", took.Round(time.Millisecond), whole.Round(time.Millisecond))
		}
	}
	left, err := shared.WaitEmpty(ctx, before)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("left behind:\n%s", left)
	}
}

// startOfAPod is how long a pod takes that boots.
func startOfAPod(ctx context.Context, t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	id, err := shared.RunPod(ctx, node.Pod{Name: "good", Handler: "kata-cold"})
	took := time.Since(began)
	if err == nil {
		err = shared.RemovePod(ctx, id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return took
}

// changedConfig writes the node's configuration with other values for some keys and returns its path.
func changedConfig(t *testing.T, change map[string]string) string {
	t.Helper()
	text, err := os.ReadFile(shared.KataConfig())
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range change {
		line := regexp.MustCompile(`(?m)^` + key + ` = .*$`)
		if !line.Match(text) {
			t.Fatalf("the node's configuration has no key %s to change", key)
		}
		text = line.ReplaceAllLiteral(text, []byte(key+" = "+value))
	}
	path := filepath.Join(t.TempDir(), "changed.toml")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Errors of the command line reach it as what they are.
func TestBadCommand(t *testing.T) {
	ctx := begin(t)
	res, err := shared.Runner().Try(ctx, "ctr", ctrRun(images.Busybox, "bad-command", "/no/such/program")...)
	if err != nil {
		t.Fatal(err)
	}
	if res.Code == 0 || !strings.Contains(res.Stderr, "/no/such/program") {
		t.Errorf("a program that does not exist gave code %d and %q", res.Code, res.Stderr)
	}
}

// A mount that no runtime can make is refused by its name.
func TestBadMount(t *testing.T) {
	ctx := begin(t)
	args := ctrRun("--mount", "type=nonsense,src=nonsense,dst=/mnt", images.Busybox, "bad-mount", "true")
	res, err := shared.Runner().Try(ctx, "ctr", args...)
	if err != nil {
		t.Fatal(err)
	}
	if res.Code == 0 || !strings.Contains(res.Stderr, "nonsense") && !strings.Contains(res.Stderr, "/mnt") {
		t.Errorf("a mount of an unknown type gave code %d and %q", res.Code, res.Stderr)
	}
}
