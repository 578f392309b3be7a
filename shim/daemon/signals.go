// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"os"
	"os/signal"
	"runtime"

	"github.com/containerd/log"
	"golang.org/x/sys/unix"
)

// maxDump bounds a dump of all goroutines, in bytes.
const maxDump = 1 << 20

// onSignals leaves on SIGTERM and SIGINT, logs all goroutines on SIGUSR1, as
// containerd's own shims do, and keeps SIGPIPE from ending the shim. SIGPIPE is
// not ignored, since children would inherit that.
func onSignals(ctx context.Context, leave func()) (stop func()) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGUSR1, unix.SIGPIPE)
	done := make(chan struct{})
	// It ends when the caller calls what is returned.
	go func() {
		for {
			select {
			case s := <-signals:
				handle(ctx, s, leave)
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

func handle(ctx context.Context, s os.Signal, leave func()) {
	switch s {
	case unix.SIGUSR1:
		dump := make([]byte, maxDump)
		log.G(ctx).Infof("goroutines:\n%s", dump[:runtime.Stack(dump, true)])
	case unix.SIGTERM, unix.SIGINT:
		log.G(ctx).WithField("signal", s.String()).Info("the shim leaves")
		leave()
	}
}
