// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/agentpb"
)

// hugepages is where the kernel keeps its pools of huge pages.
const hugepages = "/sys/kernel/mm/hugepages"

// ephemeral is a file system in the guest's memory: tmpfs, or hugetlbfs, whose
// pages are added to the kernel's pool.
func ephemeral(_ context.Context, r request) (func() error, error) {
	o := parseOptions(r.Options)
	group := mountOptions{}
	if gid, ok := o.value("fsgid"); ok {
		group.data = []string{"fsgid=" + gid}
	}
	if r.Fstype == "hugetlbfs" {
		if err := growPool(&o); err != nil {
			return nil, err
		}
	}
	undo, err := mount(r.Source, r.MountPoint, r.Fstype, o)
	if err != nil {
		return nil, err
	}
	if err := optionGroup(&group, r.MountPoint); err != nil {
		_ = undo()
		return nil, err
	}
	return undo, nil
}

// growPool adds the pages of a hugetlbfs mount to the pool of their size. The
// file system's own size stays as an option.
func growPool(o *mountOptions) error {
	pageText, okPage := o.value("pagesize")
	sizeText, okSize := o.value("size")
	if !okPage || !okSize {
		return fmt.Errorf("hugetlbfs needs the options pagesize= and size=: %w", errdefs.ErrInvalidArgument)
	}
	page, err := parseSize(pageText)
	if err != nil {
		return err
	}
	size, err := parseSize(sizeText)
	if err != nil {
		return err
	}
	if page == 0 || size%page != 0 {
		return fmt.Errorf("the size %s is not a number of pages of %s: %w", sizeText, pageText, errdefs.ErrInvalidArgument)
	}
	pool := filepath.Join(hugepages, fmt.Sprintf("hugepages-%dkB", page>>10), "nr_hugepages")
	have, err := readUint(pool)
	if err != nil {
		return fmt.Errorf("find the pool of huge pages of %s: %w", pageText, err)
	}
	want := have + size/page
	if err := os.WriteFile(pool, []byte(strconv.FormatUint(want, 10)), 0); err != nil {
		return fmt.Errorf("add %d huge pages of %s: %w", size/page, pageText, err)
	}
	if have, err = readUint(pool); err != nil || have < want {
		return fmt.Errorf("the guest's memory gives only %d huge pages of %s, not %d: %w", have, pageText, want, errdefs.ErrResourceExhausted)
	}
	o.data = append(o.data, fmt.Sprintf("pagesize=%d", page), fmt.Sprintf("size=%d", size))
	return nil
}

// parseSize reads a number of bytes with an optional binary unit, as in 2Mi, 2M
// or 1048576.
func parseSize(text string) (uint64, error) {
	digits := strings.TrimRight(text, "KMGTiB")
	n, err := strconv.ParseUint(digits, 10, 64)
	shift, known := map[string]uint{"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[strings.TrimRight(text[len(digits):], "iB")]
	if err != nil || !known || n<<shift>>shift != n {
		return 0, fmt.Errorf("%q is not a size: %w", text, errdefs.ErrInvalidArgument)
	}
	return n << shift, nil
}

// Resize changes the options of ephemeral storages that are mounted, such as
// their size.
func (m *Manager) Resize(storages []*agentpb.Storage) error {
	for _, s := range storages {
		if s.Driver != "ephemeral" {
			return fmt.Errorf("only ephemeral storages can be changed, not %q: %w", s.Driver, errdefs.ErrInvalidArgument)
		}
		o := parseOptions(s.Options)
		o.value("fsgid")
		o.flags |= unix.MS_REMOUNT
		if err := unix.Mount(s.Source, s.MountPoint, s.Fstype, o.flags, strings.Join(o.data, ",")); err != nil {
			return fmt.Errorf("change the storage at %s to %q: %w", s.MountPoint, o.data, err)
		}
	}
	return nil
}
