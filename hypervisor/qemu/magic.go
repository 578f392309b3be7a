// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/katapod/katapod/hypervisor"
)

// magic is what a kind of file has at a place of its beginning.
type magic struct {
	kind   string
	offset int64
	bytes  []byte
}

// kernelMagic: the ELF header (man 5 elf), and the boot header of a bzImage
// (Documentation/arch/x86/boot.rst of Linux, offset 0x202).
func kernelMagic() []magic {
	return []magic{
		{"vmlinux", 0, []byte("\x7fELF\x02\x01")},
		{"bzImage", 0x202, []byte("HdrS")},
	}
}

// imageMagic: super blocks of EROFS (0xE0F5E1E2 at 1024) and ext4 (0xEF53 at
// 1024+56), little endian, and XFS ("XFSB" at 0), from Linux's include/uapi/linux/magic.h and the
// layouts in Documentation/filesystems.
func imageMagic() []magic {
	return []magic{
		{"erofs", 1024, []byte{0xe2, 0xe1, 0xf5, 0xe0}},
		{"ext4", 1024 + 56, []byte{0x53, 0xef}},
		{"xfs", 0, []byte("XFSB")},
	}
}

// initrdMagic: cpio "newc", and the compressions that a kernel unpacks.
func initrdMagic() []magic {
	return []magic{
		{"cpio", 0, []byte("07070")},
		{"gzip", 0, []byte{0x1f, 0x8b}},
		{"zstd", 0, []byte{0x28, 0xb5, 0x2f, 0xfd}},
		{"lz4", 0, []byte{0x02, 0x21, 0x4c, 0x18}},
		{"xz", 0, []byte("\xfd7zXZ")},
	}
}

func checkKernel(cfg hypervisor.Config) error {
	kind, err := sniff(cfg.Kernel, kernelMagic())
	if err != nil {
		return missing("the guest kernel", cfg.Kernel, err, "run make guest-image or correct \"kernel\" in the configuration")
	}
	if kind == "" {
		return invalid("the guest kernel %s is neither a 64-bit vmlinux nor a bzImage: the file is corrupt or of another kind; build it again with make guest-image", cfg.Kernel)
	}
	return nil
}

func checkRoot(cfg hypervisor.Config) error {
	if (cfg.Initrd == "") == (cfg.Image == "") {
		return invalid("exactly one of image and initrd must be set: image %q, initrd %q", cfg.Image, cfg.Initrd)
	}
	if cfg.Initrd != "" {
		return hypervisor.Because(hypervisor.ErrImage, checkInitrd(cfg.Initrd))
	}
	if !slices.ContainsFunc(imageMagic(), func(m magic) bool { return m.kind == cfg.ImageType }) {
		return invalid("the guest image's file system type is %q; allowed are erofs, ext4 and xfs", cfg.ImageType)
	}
	return hypervisor.Because(hypervisor.ErrImage, checkImage(cfg))
}

func checkImage(cfg hypervisor.Config) error {
	kind, err := sniff(cfg.Image, imageMagic())
	if err != nil {
		return missing("the guest image", cfg.Image, err, "run make guest-image or correct \"image\" in the configuration")
	}
	if kind != cfg.ImageType {
		return invalid("the guest image %s has no %s file system: the file is corrupt or of another kind; build it again with make guest-image", cfg.Image, cfg.ImageType)
	}
	return nil
}

func checkInitrd(path string) error {
	kind, err := sniff(path, initrdMagic())
	if err != nil {
		return missing("the guest initrd", path, err, "correct \"initrd\" in the configuration")
	}
	if kind == "" {
		return invalid("the guest initrd %s is no cpio archive, compressed or not: the file is corrupt or of another kind", path)
	}
	return nil
}

// sniff returns the kind of the file at path, or "" if none fits.
func sniff(path string, kinds []magic) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() // Read only: nothing to lose.
	head := make([]byte, 2048)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", err
	}
	for _, m := range kinds {
		end := m.offset + int64(len(m.bytes))
		if int64(n) >= end && bytes.Equal(head[m.offset:end], m.bytes) {
			return m.kind, nil
		}
	}
	return "", nil
}
