// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// untilListening repeats try while it says that nothing listens on the port
// yet, until ctx ends. Errors say which port was dialled, and why the last try
// that came to an end of its own failed, and which try it was: of a guest that is not
// up many fail, and one that hangs is something else.
func untilListening[C any](ctx context.Context, port uint32, try func() (C, error)) (C, error) {
	var none C
	var retry backoff
	var last error
	for tries := 1; ; tries++ {
		began := time.Now()
		c, err := try()
		if err == nil {
			return c, nil
		}
		if errors.Is(err, errRefused) {
			last = err
			err = retry.wait(ctx)
		}
		if err == nil {
			continue
		}
		if last != nil && ctx.Err() != nil {
			return none, fmt.Errorf("dial guest port %d: %w (%w in try %d, after %v)",
				port, last, context.Cause(ctx), tries, time.Since(began).Round(time.Millisecond))
		}
		return none, fmt.Errorf("dial guest port %d: %w", port, err)
	}
}
