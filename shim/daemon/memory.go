// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/containerd/log"
	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/shim/pod"
	"github.com/katapod/katapod/shim/task"
)

// thrift gives memory back a while after it was needed, since a shim mostly waits.
// It is safe for concurrent use.
type thrift struct {
	// pages gives back the pages of the binary, which is cheap; all gives back unused
	// heap as well, which is a collection of garbage.
	pages, all *gift
}

func newThrift(ctx context.Context, pages, all func() error) *thrift {
	t := &thrift{pages: newGift(ctx, timeouts.QuietCall, pages), all: newGift(ctx, timeouts.QuietShim, all)}
	t.pages.putOff = timeouts.QuietShim
	t.all.due() // the shim's own start needed some
	return t
}

// intercept serves a call of the engine.
func (t *thrift) intercept(ctx context.Context, u ttrpc.Unmarshaler, _ *ttrpc.UnaryServerInfo, m ttrpc.Method) (any, error) {
	defer t.pages.due()
	return m(ctx, u)
}

// factory is next, with pods whose own questions to the agent count as calls: a pod
// without an engine that asks for statistics would keep what they bring in.
func (t *thrift) factory(next pod.Factory) pod.Factory {
	return func(o sandbox.Options) (pod.Sandbox, error) {
		o.Asked = t.pages.due
		return next(o)
	}
}

// stop gives no more memory back.
func (t *thrift) stop() {
	t.pages.stop()
	t.all.stop()
}

// gift is something that is done once, a while after it became due.
type gift struct {
	after time.Duration
	// putOff is how long being due again may delay what was due already; 0 is not at
	// all.
	putOff time.Duration
	timer  *time.Timer

	mu            sync.Mutex // guards what follows, and the timer's settings; a leaf
	waiting, over bool
	since         time.Time // the first time of those it waits for
}

func newGift(ctx context.Context, after time.Duration, give func() error) *gift {
	g := &gift{after: after}
	g.timer = time.AfterFunc(after, func() {
		if !g.take() {
			return
		}
		if err := give(); err != nil {
			log.G(ctx).WithError(err).Warn("the shim keeps more memory than it needs")
		}
	})
	return g
}

// due has it done; what is due already stays so, or is put off.
func (g *gift) due() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.waiting && !g.over {
		g.waiting, g.since = true, time.Now()
		g.timer.Reset(g.after)
		return
	}
	if g.waiting && !g.over && time.Since(g.since) < g.putOff {
		g.timer.Reset(g.after)
	}
}

// take tells whether it is to be done now.
func (g *gift) take() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.waiting && !g.over
	g.waiting = false
	return now
}

func (g *gift) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
	g.timer.Stop()
}

// thrifty publishes events, which mark the beginnings and ends of what takes memory.
type thrifty struct {
	task.Publisher
	thrift *thrift
}

// Publish passes the event on.
func (t thrifty) Publish(event proto.Message) {
	t.Publisher.Publish(event)
	t.thrift.all.due()
}

// binary is the read-only pages of the shim's own binary. A start touches most of
// them once: the initialisation of every package, the steps of the start, the 16 pages
// that the kernel maps around each fault. What is needed again comes back from the
// page cache by a minor fault; the pages are clean, so nothing is lost.
type binary struct {
	path   string
	ranges []memoryRange
}

// ownBinary finds them, once: they stay where they are, and looking costs garbage.
func ownBinary() (binary, error) {
	exe, err := os.Executable()
	if err != nil {
		return binary{}, fmt.Errorf("find the shim's own binary: %w", err)
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return binary{}, fmt.Errorf("read the shim's memory map: %w", err)
	}
	defer maps.Close()
	return binary{exe, readOnlyRanges(maps, exe)}, nil
}

// giveBack returns unused heap to the host, and the pages.
func (b binary) giveBack() error {
	debug.FreeOSMemory()
	return b.giveBackPages()
}

// giveBackPages drops the pages.
func (b binary) giveBackPages() error {
	var errs []error
	for _, r := range b.ranges {
		// The addresses are the kernel's own; no Go object lives there.
		if _, _, e := unix.Syscall(unix.SYS_MADVISE, r.start, r.end-r.start, unix.MADV_DONTNEED); e != 0 {
			errs = append(errs, fmt.Errorf("drop pages %x-%x of %s: %w", r.start, r.end, b.path, e))
		}
	}
	return errors.Join(errs...)
}

// memoryRange is a range of addresses, the end excluded.
type memoryRange struct{ start, end uintptr }

// readOnlyRanges finds the mappings of file in maps, the text of
// /proc/<pid>/maps (proc(5)), that cannot be written.
func readOnlyRanges(maps io.Reader, file string) []memoryRange {
	var found []memoryRange
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var r memoryRange
		var mode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &r.start, &r.end, &mode); err != nil {
			continue
		}
		if strings.HasSuffix(lines.Text(), " "+file) && strings.HasPrefix(mode, "r-") {
			found = append(found, r)
		}
	}
	return found
}
