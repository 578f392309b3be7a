// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// warmDelay is how long after the agent's start the programs are read that it will
// need. A pod that boots has read them by itself by then; a guest that is saved as
// a template is not saved earlier, so that its clones have them in memory.
const warmDelay = time.Second

// warmLater has the kernel read files into its page cache, in the background.
func warmLater(paths ...string) {
	time.AfterFunc(warmDelay, func() {
		for _, path := range paths {
			if err := readAhead(path); err != nil {
				slog.Debug("a program is not read ahead", "error", err)
			}
		}
	})
}

func readAhead(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read ahead: %w", err)
	}
	defer func() { _ = f.Close() }()
	// A length of 0 is the rest of the file.
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_WILLNEED); err != nil {
		return fmt.Errorf("read %s ahead: %w", path, err)
	}
	return nil
}
