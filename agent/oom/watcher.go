// SPDX-License-Identifier: Apache-2.0

package oom

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/agent/cgroup"
)

// Watcher watches the cgroups of containers. Make it with [New] and keep
// [Watcher.Run] running.
type Watcher struct {
	queue   *queue
	inotify *os.File

	// mu guards what follows.
	mu      sync.Mutex
	watched map[string]*watch
	byWD    map[int32]*watch
}

type watch struct {
	id    string
	dir   cgroup.Dir
	wd    int32
	kills uint64
}

// New returns a watcher of nothing.
func New() (*Watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make the inotify instance that watches for OOM kills: %w", err)
	}
	return &Watcher{
		queue: newQueue(), inotify: os.NewFile(uintptr(fd), "inotify"),
		watched: map[string]*watch{}, byWD: map[int32]*watch{},
	}, nil
}

// Run turns notifications into events until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = w.inotify.Close() })
	defer stop()
	buf := make([]byte, 4096)
	for {
		n, err := w.inotify.Read(buf)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, os.ErrClosed) {
				slog.Error("OOM kills are no longer seen", "error", err)
			}
			return
		}
		for rest := buf[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			e := (*unix.InotifyEvent)(unsafe.Pointer(&rest[0])) //nolint:gosec // the kernel's layout, length checked
			rest = rest[unix.SizeofInotifyEvent+int(e.Len):]
			w.changed(e.Wd)
		}
	}
}

func (w *Watcher) changed(wd int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.byWD[wd]; t != nil {
		w.count(t)
	}
}

// count queues the kills since the last count. The caller holds the lock.
func (w *Watcher) count(t *watch) {
	events, err := t.dir.Keyed("memory.events")
	if err != nil {
		slog.Warn("cannot count OOM kills", "container", t.id, "error", err)
		return
	}
	if n := events["oom_kill"]; n > t.kills {
		w.queue.add(t.id, n-t.kills)
		t.kills = n
	}
}

// Watch begins to watch a container's cgroup.
func (w *Watcher) Watch(id string, dir cgroup.Dir) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	wd, err := unix.InotifyAddWatch(int(w.fd()), filepath.Join(string(dir), "memory.events"), unix.IN_MODIFY)
	if err != nil {
		return fmt.Errorf("watch container %s for OOM kills: %w", id, err)
	}
	t := &watch{id: id, dir: dir, wd: int32(wd)}
	w.watched[id], w.byWD[t.wd] = t, t
	w.count(t)
	return nil
}

// Flush queues at once what the container's cgroup has counted, so that kills
// are known before the exit that they caused.
func (w *Watcher) Flush(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.watched[id]; t != nil {
		w.count(t)
	}
}

// Forget ends the watch of a container. Its queued events stay.
func (w *Watcher) Forget(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.watched[id]
	if t == nil {
		return
	}
	delete(w.watched, id)
	delete(w.byWD, t.wd)
	// Fails when the cgroup is gone, and the watch with it.
	_, _ = unix.InotifyRmWatch(int(w.fd()), uint32(t.wd))
}

// fd returns the descriptor without making it blocking, as Fd would.
func (w *Watcher) fd() uintptr {
	var out uintptr
	raw, err := w.inotify.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { out = fd })
	}
	if err != nil {
		return ^uintptr(0)
	}
	return out
}

// Next takes the oldest event, the name of a container in which a process was
// killed, and waits for one until ctx ends.
func (w *Watcher) Next(ctx context.Context) (string, error) { return w.queue.next(ctx) }
