// SPDX-License-Identifier: Apache-2.0

package sandboxapi

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/shim/sandboxapi/sandboxpb"
)

// withSpec is a sandbox whose bundle has an OCI specification.
func withSpec(t *testing.T, text string) (*bench, error) {
	t.Helper()
	b := newBench(t)
	if err := os.WriteFile(filepath.Join(b.bundle, "config.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := b.CreateSandbox(t.Context(), &sandboxpb.CreateSandboxRequest{SandboxId: "pod", BundlePath: b.bundle})
	return b, err
}

func TestAPodOfAnOCISpecification(t *testing.T) {
	b, err := withSpec(t, `{"hostname":"client","annotations":{"team":"blue"},"linux":{
		"cgroupsPath":"/clients/pod","sysctl":{"net.core.somaxconn":"99"},"resources":{"memory":{"limit":1048576}},
		"namespaces":[{"type":"network","path":"/run/netns/y"},{"type":"ipc"}]}}`)
	is(t, "CreateSandbox", err, nil)
	_, err = b.StartSandbox(t.Context(), &sandboxpb.StartSandboxRequest{SandboxId: "pod"})
	is(t, "StartSandbox", err, nil)
	o := b.vm.options
	if o.Hostname != "client" || o.NetNS != "/run/netns/y" || o.CgroupPath != "/clients/pod" || o.Sysctls["net.core.somaxconn"] != "99" ||
		o.Resources.MemoryBytes != 1<<20 || b.seen["team"] != "blue" {
		t.Errorf("options %+v, annotations %v", o, b.seen)
	}
	if name, err := os.ReadFile(filepath.Join(b.bundle, "hostname")); err != nil || string(name) != "client\n" {
		t.Errorf("the file hostname is %q, error %v", name, err)
	}
}

func TestOCISpecificationsThatSayLittleOrTooMuch(t *testing.T) {
	for text, want := range map[string]error{
		`{}`: nil,
		`{`:  errdefs.ErrInvalidArgument,
		`{"linux":{"namespaces":[{"type":"ipc"}]}}`:     errdefs.ErrNotImplemented, // the host's network
		`{"linux":{"namespaces":[{"type":"network"}]}}`: errdefs.ErrNotImplemented, // the host's IPC
	} {
		_, err := withSpec(t, text)
		is(t, text, err, want)
	}
}
