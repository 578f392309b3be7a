// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/containerd/ttrpc"

	"github.com/katapod/katapod/agent/boot"
)

// hostGrace is how long the host may take to call before the log says that the
// agent serves all the same.
const hostGrace = time.Second

// announced logs, once, that the agent serves: behind the answer to the first
// call rather than before it, because the first line of a log takes an emulated
// guest as long as half of its mounts (35 ms), and the host waits for the answer.
func announced(inner ttrpc.UnaryServerInterceptor) ttrpc.UnaryServerInterceptor {
	uptime := boot.Uptime()
	say := sync.OnceFunc(func() { slog.Info("the agent serves", "version", Version, "uptime", uptime) })
	late := time.AfterFunc(hostGrace, say)
	return func(ctx context.Context, decode ttrpc.Unmarshaler, info *ttrpc.UnaryServerInfo, method ttrpc.Method) (any, error) {
		answer, err := inner(ctx, decode, info, method)
		if late.Stop() {
			// It says one line and ends.
			go say()
		}
		return answer, err
	}
}
