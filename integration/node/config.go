// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

var (
	//go:embed containerd.toml.tmpl
	containerdTemplate string
	//go:embed kata.toml.tmpl
	kataTemplate string
	//go:embed pods.conflist.tmpl
	cniTemplate string
	//go:embed hosts.toml.tmpl
	hostsTemplate string
)

// crictlTemplate saves every call of crictl its endpoints.
const crictlTemplate = `runtime-endpoint: unix://{{.Socket}}
image-endpoint: unix://{{.Socket}}
timeout: 60
`

// PauseImage is the image containerd uses for the pods' pause container; package images makes it.
const PauseImage = "katapod.test/pause:1"

// Registry is the address, in the node's network namespace, that containerd pulls every image from, whatever registry
// the image's name says. Nothing listens there until a caller does; see Listen.
const Registry = "127.0.0.1:5000"

// registryHosts is where containerd looks up how to reach a registry that has no directory of its own.
const registryHosts = "etc/certs.d/_default"

// SandboxAPIHandler is the CRI runtime handler whose pods have no pause container: containerd tells the shim about
// the pod itself, through the Sandbox API.
const SandboxAPIHandler = "kata-sandboxapi"

// ColdHandler is the CRI runtime handler, on EROFS, whose pods always boot: templates are switched off.
const ColdHandler = "kata-cold"

// Subnets of the pods.
const (
	PodsV4 = "10.88.0.0/16"
	PodsV6 = "fd00:88::/64"
)

// Handlers names the CRI runtime handlers that lead to the kata shim and the snapshotter of each.
func Handlers() map[string]string {
	return map[string]string{
		"kata": "overlayfs", "kata-erofs": "erofs", "kata-blockfile": "blockfile", "kata-native": "native",
	}
}

// runcHandlers names the CRI runtime handlers that lead to runc and the snapshotter of each.
func runcHandlers() map[string]string {
	return map[string]string{"runc": "overlayfs", "runc-erofs": "erofs"}
}

// settings are what the templates of the configuration files can use.
type settings struct {
	Layout
	PauseImage     string
	PodsV4, PodsV6 string
	Virtiofsd      string
	Handlers       map[string]string // CRI handlers of the kata shim, with the snapshotter of each
	RuncHandlers   map[string]string // the same of runc

	SandboxAPIHandler, ColdHandler, Registry string
}

// writeConfig makes the directories of the node and writes every configuration file; containerd is the template of
// that of containerd.
func writeConfig(ctx context.Context, l Layout, containerd string) error {
	for _, dir := range []string{"run/s", "etc/cni", registryHosts, "root", "state", "opt", "logs", "vc", "runc", "blk"} {
		if err := os.MkdirAll(l.path(dir), 0o711); err != nil {
			return fmt.Errorf("make the node's directories: %w", err)
		}
	}
	values := settings{
		Layout: l, PauseImage: PauseImage, PodsV4: PodsV4, PodsV6: PodsV6,
		Virtiofsd: virtiofsd(), Handlers: Handlers(), RuncHandlers: runcHandlers(),
		SandboxAPIHandler: SandboxAPIHandler, ColdHandler: ColdHandler, Registry: Registry,
	}
	files := map[string]string{
		"etc/containerd.toml":      containerd,
		"etc/crictl.yaml":          crictlTemplate,
		"etc/kata.toml":            kataTemplate,
		"etc/kata-cold.toml":       kataTemplate + "\n[factory]\nenable_template = false\n",
		"etc/cni/10-pods.conflist": cniTemplate,

		registryHosts + "/hosts.toml": hostsTemplate,
	}
	for name, text := range files {
		if err := writeTemplate(l.path(name), text, values); err != nil {
			return err
		}
	}
	return makeScratch(ctx, l.path("blk/scratch.ext4"))
}

func writeTemplate(path, text string, values settings) error {
	parsed, err := template.New(filepath.Base(path)).Parse(text)
	if err != nil {
		return fmt.Errorf("read the template of %s: %w", path, err)
	}
	var out strings.Builder
	if err := parsed.Execute(&out, values); err != nil {
		return fmt.Errorf("fill the template of %s: %w", path, err)
	}
	if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
		return fmt.Errorf("write the node's configuration: %w", err)
	}
	return nil
}

// makeScratch makes the empty file system that the blockfile snapshotter copies for every image.
func makeScratch(ctx context.Context, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("make the blockfile snapshotter's scratch file: %w", err)
	}
	defer file.Close()
	if err := file.Truncate(64 << 20); err != nil {
		return fmt.Errorf("size the blockfile snapshotter's scratch file: %w", err)
	}
	_, err = (Runner{}).Run(ctx, "mkfs.ext4", "-q", "-O", "^has_journal", path)
	return err
}

// virtiofsd is the machine's virtiofsd: the one in Rust where it is installed, else QEMU's own in C.
func virtiofsd() string {
	const rust, old = "/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd"
	if _, err := os.Stat(rust); err == nil {
		return rust
	}
	return old
}
