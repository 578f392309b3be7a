// SPDX-License-Identifier: Apache-2.0

package template

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/timeouts"
)

const (
	quietLooks = 12
)

// settle returns when the memory file of a guest no longer changes in size, or
// after limit. Nothing tells when a guest is idle, so that it is looked at.
func settle(ctx context.Context, memory string, limit time.Duration) error {
	if limit == 0 {
		limit = timeouts.TemplateSettle
	}
	end := time.NewTimer(limit)
	defer end.Stop()
	look := time.NewTicker(timeouts.TemplateLook)
	defer look.Stop()
	var last int64
	for quiet := 0; quiet < quietLooks; {
		var st unix.Stat_t
		if err := unix.Stat(memory, &st); err != nil {
			return fmt.Errorf("look at the guest's memory: %w", &os.PathError{Op: "stat", Path: memory, Err: err})
		}
		if st.Blocks == last {
			quiet++
		} else {
			quiet, last = 0, st.Blocks
		}
		select {
		case <-look.C:
		case <-end.C:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("wait until the guest is idle: %w", ctx.Err())
		}
	}
	return nil
}
