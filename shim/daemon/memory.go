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
	"time"

	"github.com/containerd/log"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/internal/timeouts"
	"github.com/katapod/katapod/shim/task"
)

// thrifty publishes events, and gives memory back once they have gone timeouts.QuietShim: from
// then on the shim mostly waits.
type thrifty struct {
	task.Publisher
	timer *time.Timer
}

// newThrifty calls give after each burst of events. Stop ends it.
func newThrifty(ctx context.Context, p task.Publisher, give func() error) thrifty {
	return thrifty{Publisher: p, timer: time.AfterFunc(timeouts.QuietShim, func() {
		if err := give(); err != nil {
			log.G(ctx).WithError(err).Warn("the shim keeps more memory than it needs")
		}
	})}
}

// Publish passes the event on.
func (t thrifty) Publish(event proto.Message) {
	t.Publisher.Publish(event)
	t.timer.Reset(timeouts.QuietShim)
}

// Stop gives no more memory back.
func (t thrifty) Stop() { t.timer.Stop() }

// giveBack returns unused heap to the host and drops the read-only pages of the
// shim's own binary. A start touches most of the binary once: the initialisation
// of every package, the steps of the start, the 16 pages that the kernel maps
// around each fault. What is needed again comes back from the page cache by a
// minor fault; the pages are clean, so nothing is lost.
func giveBack() error {
	debug.FreeOSMemory()
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the shim's own binary: %w", err)
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return fmt.Errorf("read the shim's memory map: %w", err)
	}
	defer maps.Close()
	var errs []error
	for _, r := range readOnlyRanges(maps, exe) {
		// The addresses are the kernel's own; no Go object lives there.
		if _, _, e := unix.Syscall(unix.SYS_MADVISE, r.start, r.end-r.start, unix.MADV_DONTNEED); e != 0 {
			errs = append(errs, fmt.Errorf("drop pages %x-%x of %s: %w", r.start, r.end, exe, e))
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
