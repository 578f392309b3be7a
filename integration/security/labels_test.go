// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// What cannot be honoured is refused or reported, never dropped in silence: the guest's kernel has no SELinux. An
// engine on a host without it gives no labels, so that the specification is written here.
func TestLabelsAreReported(t *testing.T) {
	ctx := begin(t)
	const process, mount = "system_u:system_r:container_t:s0:c1,c2", "system_u:object_r:container_file_t:s0:c1,c2"
	if out, err := labelled(ctx, t, "sec-labels", "", process, mount); err != nil || out != "Effective uid: 0\n" {
		t.Fatalf("a container with labels that are dropped: %q, %v", out, err)
	}
	for _, says := range []string{`process.selinuxLabel \"` + process + `\" is dropped`, `linux.mountLabel \"` + mount + `\" is dropped`} {
		if !logged(t, says) {
			t.Errorf("the log does not say %s", says)
		}
	}
	text, err := os.ReadFile(shared.KataConfig())
	if err != nil {
		t.Fatal(err)
	}
	strict := filepath.Join(t.TempDir(), "strict.toml")
	text = []byte(strings.Replace(string(text), "[hypervisor.qemu]\n", "[hypervisor.qemu]\ndisable_guest_selinux = false\n", 1))
	if err := os.WriteFile(strict, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for field, labels := range map[string][2]string{"process.selinuxLabel": {process, ""}, "linux.mountLabel": {"", mount}} {
		if out, err := labelled(ctx, t, "sec-strict", strict, labels[0], labels[1]); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("a container whose %s the guest cannot honour said %q, error %v", field, out, err)
		}
	}
	if out, err := labelled(ctx, t, "sec-bare", strict, "", ""); err != nil || out != "Effective uid: 0\n" {
		t.Errorf("a container without labels: %q, %v", out, err)
	}
}

// labelled runs a container with SELinux labels, under a configuration if one is named.
func labelled(ctx context.Context, t *testing.T, id, config, process, mount string) (string, error) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "rootfs")
	program, err := os.ReadFile(filepath.Join(shared.Out, "node-security", "probe"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"bin", "proc", "sys", "dev", "run"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "bin/probe"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	text, err := shared.Ctr(ctx, "oci", "spec")
	if err != nil {
		t.Fatal(err)
	}
	var spec specs.Spec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		t.Fatal(err)
	}
	spec.Root.Path, spec.Process.Args, spec.Process.Terminal = root, []string{"/bin/probe", "euid"}, false
	spec.Process.SelinuxLabel, spec.Linux.MountLabel = process, mount
	if config != "" {
		spec.Annotations = map[string]string{"io.katacontainers.config_path": config}
	}
	changed, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	return shared.Ctr(ctx, "run", "--rm", "--runtime", "io.containerd.kata.v2", "--config", file, id)
}

// logged waits for the shim's log to say something.
func logged(t *testing.T, says string) bool {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; <-time.After(10 * time.Millisecond) {
		log, err := os.ReadFile(shared.Log())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(log), says) {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}
