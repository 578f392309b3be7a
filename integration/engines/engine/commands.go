// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/node"
)

// Run runs a command on the node, which has to succeed, and returns its standard output.
func (e *Engine) Run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := e.Runner().Run(Context(t), name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Try runs a command on the node to its end, whatever its exit code is.
func (e *Engine) Try(t *testing.T, name string, args ...string) node.Result {
	t.Helper()
	res, err := e.Runner().Try(Context(t), name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// Want runs a command on the node, which has to succeed and to print just this.
func (e *Engine) Want(t *testing.T, want, name string, args ...string) {
	t.Helper()
	if got := e.Run(t, name, args...); got != want {
		t.Errorf("%s %q printed %.300q, want %.300q", name, args, got, want)
	}
}

// WantRefused runs a command on the node, which has to fail and to say all of these words, on either output.
func (e *Engine) WantRefused(t *testing.T, words []string, name string, args ...string) {
	t.Helper()
	res := e.Try(t, name, args...)
	said := res.Stdout + res.Stderr
	if res.Code == 0 {
		t.Errorf("%s %q succeeded and printed %q; it has to be refused", name, args, said)
	}
	for _, word := range words {
		if !strings.Contains(said, word) {
			t.Errorf("%s %q said %q, and nothing of %q", name, args, said, word)
		}
	}
}

// WaitFor asks again and again, at first after a millisecond, until the condition holds: engines have no call that
// waits for most of what is asked of them.
func WaitFor(t *testing.T, most time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(most)
	for wait := time.Millisecond; !holds(); wait = min(2*wait, 100*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain for %s", most, what)
		}
		<-time.After(wait)
	}
}
