// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"io"
	"log/slog"
)

// setLog makes the agent log to w, one line of key=value pairs per event. Time
// stamps are the console's own business until the host sets the clock.
func setLog(w io.Writer, level slog.Level) {
	slog.SetDefault(slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})))
}
