// SPDX-License-Identifier: Apache-2.0

package template

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/hypervisor"
)

// format is part of every key; it changes when a template of an earlier version
// of this package could not be used.
const format = 1

// bootID tells this boot of the host from others, see proc(5).
const bootID = "/proc/sys/kernel/random/boot_id"

// Key names a template: 32 hexadecimal digits.
type Key string

// ingredients are all that a key is a digest of. Their text is part of the
// manifest, so that people can tell two templates apart.
type ingredients struct {
	Format int        `json:"format"`
	BootID string     `json:"boot_id"`
	Shape  string     `json:"shape"`
	Files  []identity `json:"files"`
}

// identity is how a file is known to be the same without reading it. The change
// time cannot be set by programs.
type identity struct {
	Path   string `json:"path"`
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
	Size   int64  `json:"size"`
	// Modified and Changed are in nanoseconds since 1970.
	Modified int64 `json:"modified"`
	Changed  int64 `json:"changed"`
}

// KeyOf is the key of the template for VMs made from cfg. vm is one of them, of
// which nothing but its shape is asked. An error that is
// errdefs.ErrNotImplemented says that the VMM cannot have templates.
func KeyOf(ctx context.Context, vm hypervisor.VM, cfg hypervisor.Config) (Key, error) {
	key, _, err := describe(ctx, vm, cfg)
	return key, err
}

// describe returns the key with what it is a digest of.
func describe(ctx context.Context, vm hypervisor.VM, cfg hypervisor.Config) (Key, ingredients, error) {
	snapshotter, err := hypervisor.AsSnapshotter(vm)
	if err != nil {
		return "", ingredients{}, err
	}
	made := ingredients{Format: format}
	if made.Shape, err = snapshotter.Shape(ctx); err != nil {
		return "", ingredients{}, err
	}
	boot, err := os.ReadFile(bootID)
	if err != nil {
		return "", ingredients{}, fmt.Errorf("tell this boot from others: %w", err)
	}
	made.BootID = strings.TrimSpace(string(boot))
	for _, path := range []string{cfg.Binary, cfg.Kernel, cfg.Initrd, cfg.Image} {
		if path == "" {
			continue
		}
		id, err := identify(path)
		if err != nil {
			return "", ingredients{}, err
		}
		made.Files = append(made.Files, id)
	}
	text, err := json.Marshal(made)
	if err != nil {
		return "", ingredients{}, fmt.Errorf("describe a template: %w", err)
	}
	sum := sha256.Sum256(text)
	return Key(hex.EncodeToString(sum[:16])), made, nil
}

// identify looks at the file at path; it follows symbolic links.
func identify(path string) (identity, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return identity{}, fmt.Errorf("look at %s: %w", path, err)
	}
	return identity{
		Path: path, Device: st.Dev, Inode: st.Ino, Size: st.Size,
		Modified: st.Mtim.Nano(), Changed: st.Ctim.Nano(),
	}, nil
}
