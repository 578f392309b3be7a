// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A terminal has the size that it was given before the start when its program looks for the first time, and tells of
// every change after that.
func TestTerminalSize(t *testing.T) {
	ctx := begin(t, 5*time.Minute)
	kinds(t, ctx, func(t *testing.T, create creator) {
		// Not in a read: a signal just before it would be looked at after it only.
		const script = `stty size; n=0; trap 'stty size; n=$((n+1))' WINCH; echo ready
			while [ $n -lt 3 ]; do sleep 0.05; done; read line; echo "[$line]"; exit 4`
		p := create(request{args: []string{"sh", "-c", script}, stdin: true, terminal: true})
		if err := p.Resize(ctx, 91, 17); err != nil {
			t.Fatal(err)
		}
		start(t, ctx, p)
		expect(t, ctx, p.stdout, "ready\r\n")
		if got := p.stdout.now(); !strings.HasPrefix(got, "17 91\r\n") && shared.runtime != "runc" { // which forgets that of an exec
			t.Errorf("the first size is in %q, want 17 91", got)
		}
		for rows := uint32(40); rows < 43; rows++ {
			if err := p.Resize(ctx, 132, rows); err != nil {
				t.Fatal(err)
			}
			expect(t, ctx, p.stdout, fmt.Sprintf("%d 132\r\n", rows))
		}
		write(t, input(t, p), "a line\n")
		if r := finish(t, ctx, p, 4); !strings.HasSuffix(r.stdout, "[a line]\r\n") {
			t.Errorf("the terminal's last words are in %q", r.stdout)
		}
	})
}

// What a program writes to its terminal just before it exits arrives.
func TestTerminalBurst(t *testing.T) {
	ctx := begin(t, 5*time.Minute)
	kinds(t, ctx, func(t *testing.T, create creator) {
		p := create(request{args: []string{"sh", "-c", "stty raw; exec head -c 1000000 /dev/zero"}, terminal: true})
		start(t, ctx, p)
		if r := finish(t, ctx, p, 0); len(r.stdout) != 1000000 {
			t.Errorf("%d of 1000000 bytes came over the terminal", len(r.stdout))
		}
	})
}
