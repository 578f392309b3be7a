// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/storage"
)

// podCopies knows which files the guest has a copy of for the whole pod.
type podCopies struct {
	turn turns
	sent map[string]version // by the path in the guest
}

// version tells a file from what it was before.
type version struct {
	device, inode uint64
	size          int64
	changed       unix.Timespec
}

func newPodCopies() podCopies { return podCopies{turn: make(turns, 1), sent: map[string]version{}} }

// send copies a file, unless the pod has that version of it.
func (p *podCopies) send(ctx context.Context, file storage.Copy, send func(context.Context, storage.Copy) error) error {
	if !file.OfPod {
		return send(ctx, file)
	}
	done, err := p.turn.enter(ctx)
	if err != nil {
		return fmt.Errorf("wait for the copy of %s: %w", file.Source, err)
	}
	defer done()
	var st unix.Stat_t
	if err := unix.Stat(file.Source, &st); err != nil {
		return fmt.Errorf("copy %s to the guest: %w", file.Source, err)
	}
	now := version{st.Dev, st.Ino, st.Size, st.Mtim}
	if had, found := p.sent[file.GuestPath]; found && had == now {
		return nil
	}
	if err := send(ctx, file); err != nil {
		return err
	}
	p.sent[file.GuestPath] = now
	return nil
}

// copyChunk is how much of a file one call carries, far below ttrpc's limit of
// 4 MiB per message.
const copyChunk = 1 << 20

// copyToGuest sends a file in chunks. The agent gives it its name once it is
// whole.
func (c *Container) copyToGuest(ctx context.Context, file storage.Copy) error {
	f, err := os.Open(file.Source)
	if err != nil {
		return fmt.Errorf("copy a file to the guest: %w", err)
	}
	defer f.Close() // read only: nothing to lose
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("copy %s to the guest: %w", file.Source, err)
	}
	uid, gid := file.IDMap.Owner(st.Uid, st.Gid)
	agent := c.sandbox.guest()
	for offset := int64(0); ; {
		chunk := make([]byte, min(copyChunk, st.Size-offset))
		if _, err := io.ReadFull(f, chunk); err != nil {
			return fmt.Errorf("copy %s to the guest: it changed meanwhile: %w", file.Source, err)
		}
		_, err := ask(ctx, agent, "copy "+file.Source+" to the guest", timeouts.Request, agent.service.CopyFile, &agentpb.CopyFileRequest{
			Path: file.GuestPath, FileSize: st.Size, FileMode: st.Mode, DirMode: 0o755,
			Uid: int32(uid), Gid: int32(gid), Offset: offset, Data: chunk,
		})
		if err != nil {
			return err
		}
		if offset += int64(len(chunk)); offset >= st.Size {
			return nil
		}
	}
}
