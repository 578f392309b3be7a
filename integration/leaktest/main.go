// SPDX-License-Identifier: Apache-2.0

package leaktest

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
)

// patience bounds the wait for what is just ending, on a machine that is busy.
const patience = time.Minute

// Main runs a package's tests, checks what they left, and ends the process.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main for a TestMain that has something to do afterwards. It returns the
// process's exit code.
func Run(m *testing.M) int {
	before := look()
	code := m.Run()
	if code != 0 || fuzzing() {
		return code // a test that failed half-way has left something, and has said so
	}
	if left := before.await(patience); left != "" {
		fmt.Fprintf(os.Stderr, "the tests passed but left what they should have ended, after %v:\n%s\n", patience, left)
		return 1
	}
	return 0
}

// fuzzing tells whether this is the process of a fuzz test's worker, or of who
// starts them: both hold the other's pipes to their end.
func fuzzing() bool {
	for _, name := range []string{"test.fuzz", "test.fuzzworker"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != f.DefValue {
			return true
		}
	}
	return false
}
