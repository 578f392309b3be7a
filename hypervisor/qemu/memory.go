// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/hypervisor/confine"
)

// memory is what of a saved VM or of a clone lives outside QEMU.
type memory struct {
	// made is the path of a memory file that this start made, "" otherwise.
	made string
	// copied is closed when a clone's own memory is complete; err says whether.
	copied chan struct{}
	err    error
	cancel context.CancelFunc
}

// memoryFile is the name of the memory in QEMU's root directory.
const memoryFile = "/memory"

// openMemory makes the memory file of a VM to be saved, or begins to fill the
// memory of a clone, which goes on while QEMU starts.
func (r *resources) openMemory(ctx context.Context, cfg hypervisor.Config) error {
	size := int64(cfg.MemoryMiB) << 20
	if cfg.SaveTo != nil {
		f, err := os.OpenFile(cfg.SaveTo.Memory, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("make the memory file of a VM to be saved: %w", err)
		}
		r.memory.made = cfg.SaveTo.Memory
		user := userOf(cfg)
		if err := errors.Join(f.Truncate(size), f.Chown(user, user), f.Close()); err != nil {
			return fmt.Errorf("make the memory file of a VM to be saved: %w", err)
		}
		r.in.memory = true
		r.root.Bind(confine.Bind{From: cfg.SaveTo.Memory, At: memoryFile, Writable: true})
	}
	if cfg.From == nil {
		return nil
	}
	// A clone has memory of its own at once, rather than page by page as it writes:
	// QEMU 7.2 maps a file privately only if it may write to it, and no VMM may write
	// to what others are cloned from.
	own, err := r.root.Create(strings.TrimPrefix(memoryFile, "/"), userOf(cfg))
	if err != nil {
		return err
	}
	r.in.memory = true
	if err := own.Truncate(size); err != nil {
		return errors.Join(fmt.Errorf("make the memory of a clone: %w", err), own.Close())
	}
	return r.fillMemory(ctx, own, cfg.From.Memory)
}

// fillMemory copies the file at path to the file to, which it closes, beside whatever
// follows.
func (r *resources) fillMemory(ctx context.Context, to *os.File, path string) error {
	from, err := os.Open(path)
	if err != nil {
		return errors.Join(fmt.Errorf("open the memory of a saved VM: %w", err), to.Close())
	}
	ctx, r.memory.cancel = context.WithCancel(ctx)
	r.memory.copied = make(chan struct{})
	// It is the instance's: cancel ends it, and copied tells.
	go func() {
		defer close(r.memory.copied)
		err := copySparse(ctx, to, from)
		r.memory.err = errors.Join(err, from.Close(), to.Close())
	}()
	return nil
}

// complete waits for the copy, if there is one.
func (m *memory) complete(ctx context.Context) error {
	if m.copied == nil {
		return nil
	}
	select {
	case <-m.copied:
		return m.err
	case <-ctx.Done():
		return fmt.Errorf("copy the memory of a saved VM: %w", ctx.Err())
	}
}

// close ends a copy, and removes a memory file unless it was saved.
func (m *memory) close(saved bool) {
	if m.copied != nil {
		m.cancel()
		<-m.copied
	}
	if m.made != "" && !saved {
		_ = os.Remove(m.made) // The caller removes the directory.
	}
}

// piece bounds one write of a copy, in bytes, and so the wait for its end.
const piece = 1 << 20

// copySparse copies what is not a hole. Files on tmpfs know no copy within the
// kernel; from a mapping each byte is moved once.
func copySparse(ctx context.Context, to, from *os.File) error {
	info, err := from.Stat()
	if err != nil {
		return fmt.Errorf("copy the memory of a saved VM: %w", err)
	}
	data, err := unix.Mmap(int(from.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map the memory of a saved VM: %w", err)
	}
	defer func() { _ = unix.Munmap(data) }() // Read only: nothing to lose.
	for end := int64(0); ; {
		begin, err := from.Seek(end, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // Only a hole is left.
		}
		if err == nil {
			end, err = from.Seek(begin, unix.SEEK_HOLE)
		}
		if err != nil {
			return fmt.Errorf("find the data in the memory of a saved VM: %w", err)
		}
		for at := begin; at < end; at += piece {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if _, err := to.WriteAt(data[at:min(at+piece, end)], at); err != nil {
				return fmt.Errorf("copy the memory of a saved VM: %w", err)
			}
		}
	}
}

// checkSnapshot finds what cannot be saved or cloned.
func checkSnapshot(cfg hypervisor.Config) error {
	switch {
	case cfg.SaveTo != nil && cfg.From != nil:
		return invalid("a clone cannot be saved again")
	case cfg.SaveTo != nil && len(cfg.Shares) > 0:
		return invalid("a VM with shares cannot be saved, since their daemons' state is not QEMU's")
	case cfg.From != nil && len(cfg.Disks)+len(cfg.NICs)+len(cfg.Shares) > 0:
		return invalid("a clone has the devices of the VM that was saved; plug further ones while it is held")
	}
	return nil
}

// checkSaved finds what is wrong with the files of a saved VM.
func checkSaved(cfg hypervisor.Config) error {
	if cfg.From == nil {
		return nil
	}
	for _, path := range []string{cfg.From.Memory, cfg.From.State} {
		st, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return missing("a file of the saved VM", path, err, "save one again")
		}
		if err != nil {
			return fmt.Errorf("look at a file of the saved VM: %w", err)
		}
		if path == cfg.From.Memory && st.Size() != int64(cfg.MemoryMiB)<<20 {
			return invalid("the saved VM at %s has %d bytes of memory, not %d MiB", path, st.Size(), cfg.MemoryMiB)
		}
	}
	return nil
}
