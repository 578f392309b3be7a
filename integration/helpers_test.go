// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/interrupt"
)

// begin skips the test when there is no node, and gives it five minutes.
func begin(t *testing.T) context.Context {
	t.Helper()
	if shared.skip != "" {
		t.Skip(shared.skip)
	}
	return interrupt.Bound(t, shared.interrupted, 5*time.Minute)
}

// ctrRun are the words of a `ctr run --rm` with the runtime under test.
func ctrRun(args ...string) []string {
	runtime := []string{"--runtime", "io.containerd.kata.v2"}
	if shared.runtime == "runc" {
		runtime = []string{"--runtime", "io.containerd.runc.v2", "--runc-root", shared.Root + "/runc"}
	}
	return append(append([]string{"run", "--rm"}, runtime...), args...)
}
