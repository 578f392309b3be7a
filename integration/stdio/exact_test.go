// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// All of stdin comes back on stdout.
func TestThereAndBack(t *testing.T) {
	ctx := begin(t, 10*time.Minute)
	kinds(t, ctx, func(t *testing.T, create creator) {
		p := create(request{args: []string{"cat"}, stdin: true})
		start(t, ctx, p)
		in, text := input(t, p), random(t, 20<<20)
		write(t, in, text)
		closeIO(t, ctx, p)
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if r := finish(t, ctx, p, 0); sum(r.stdout) != sum(text) {
			t.Errorf("of %d bytes %d came back, with checksum %s for %s", len(text), len(r.stdout), sum(r.stdout), sum(text))
		}
	})
}

// A process that writes much and exits at once is deleted in the call after Wait.
func TestBurstAndExit(t *testing.T) {
	ctx := begin(t, 10*time.Minute)
	kinds(t, ctx, func(t *testing.T, create creator) {
		p := create(shell("head -c 8388608 /dev/urandom >/tmp/burst; sha256sum </tmp/burst >&2; exec cat /tmp/burst"))
		start(t, ctx, p)
		r := finish(t, ctx, p, 0)
		if want, _, _ := strings.Cut(r.stderr, " "); len(r.stdout) != 8<<20 || sum(r.stdout) != want {
			t.Errorf("%d of %d bytes came, with checksum %s for %s", len(r.stdout), 8<<20, sum(r.stdout), want)
		}
	})
}

// A client that goes away is not the end of the input, and one that comes back goes on where it was; CloseIO is.
func TestDetachAndReattach(t *testing.T) {
	ctx := begin(t, 5*time.Minute)
	kinds(t, ctx, func(t *testing.T, create creator) {
		p := create(request{args: []string{"cat"}, stdin: true})
		start(t, ctx, p)
		for _, line := range []string{"first\n", "second\n", "third\n"} {
			in := input(t, p)
			write(t, in, line)
			if err := in.Close(); err != nil {
				t.Fatal(err)
			}
			expect(t, ctx, p.stdout, line)
		}
		closeIO(t, ctx, p)
		if r := finish(t, ctx, p, 0); r.stdout != "first\nsecond\nthird\n" {
			t.Errorf("stdout is %q", r.stdout)
		}
	})
}

// Output waits for a client that reads, and for the next one; none of it is lost between the two.
func TestReaderComesBack(t *testing.T) {
	ctx := begin(t, 5*time.Minute)
	kinds(t, ctx, func(t *testing.T, create creator) {
		p := create(request{args: []string{"cat"}, stdin: true, unread: true})
		start(t, ctx, p)
		p.stdout.close()
		p.stdout = nil
		in := input(t, p)
		for _, line := range []string{"first\n", "second\n"} {
			reader, err := newOutput(p.config.Stdout)
			if err != nil {
				t.Fatal(err)
			}
			reader.read()
			write(t, in, line)
			expect(t, ctx, reader, line)
			reader.close()
		}
		write(t, in, strings.Repeat("between\n", 1<<13)) // as much as a pipe holds
		last, err := newOutput(p.config.Stdout)
		if err != nil {
			t.Fatal(err)
		}
		last.read()
		closeIO(t, ctx, p)
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		finish(t, ctx, p, 0)
		if got, err := last.all(ctx); err != nil || got != strings.Repeat("between\n", 1<<13) {
			t.Errorf("%d bytes for the last reader, error %v", len(got), err)
		}
	})
}

// CloseIO ends the input when the last client that writes has gone, not before: what it still writes counts.
func TestCloseIO(t *testing.T) {
	ctx := begin(t, 5*time.Minute)
	kinds(t, ctx, func(t *testing.T, create creator) {
		p := create(request{args: []string{"cat"}, stdin: true})
		start(t, ctx, p)
		in := input(t, p)
		write(t, in, "before\n")
		closeIO(t, ctx, p)
		closeIO(t, ctx, p) // clients do
		expect(t, ctx, p.stdout, "before\n")
		write(t, in, "after\n")
		expect(t, ctx, p.stdout, "after\n")
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if r := finish(t, ctx, p, 0); r.stdout != "before\nafter\n" {
			t.Errorf("stdout is %q", r.stdout)
		}
	})
}

// The input may be closed before the process runs, with bytes in it or without.
func TestCloseIOBeforeStart(t *testing.T) {
	ctx := begin(t, 5*time.Minute)
	stricter(t, "forgets that an exec's input was closed before its start")
	kinds(t, ctx, func(t *testing.T, create creator) {
		p := create(shell("cat; echo end"))
		closeIO(t, ctx, p) // of a process without an input
		start(t, ctx, p)
		if r := finish(t, ctx, p, 0); r.stdout != "end\n" {
			t.Errorf("stdout is %q", r.stdout)
		}
	})
	kinds(t, ctx, func(t *testing.T, create creator) {
		p := create(request{args: []string{"sh", "-c", "cat; echo end"}, stdin: true})
		closeIO(t, ctx, p)
		start(t, ctx, p)
		if r := finish(t, ctx, p, 0); r.stdout != "end\n" {
			t.Errorf("stdout is %q", r.stdout)
		}
	})
}

// The end of the input leaves the outputs open.
func TestInputEndsFirst(t *testing.T) {
	ctx := begin(t, 5*time.Minute)
	kinds(t, ctx, func(t *testing.T, create creator) {
		p := create(request{args: []string{"sh", "-c", "cat >/dev/null; head -c 1000000 /dev/zero | tr '\\0' y; echo end >&2"}, stdin: true})
		start(t, ctx, p)
		in := input(t, p)
		write(t, in, "x")
		closeIO(t, ctx, p)
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if r := finish(t, ctx, p, 0); r.stdout != strings.Repeat("y", 1000000) || r.stderr != "end\n" {
			t.Errorf("%d bytes on stdout, stderr %q", len(r.stdout), r.stderr)
		}
	})
}

// A process that closes its stdout ends that stream alone, while it runs.
func TestOutputEndsFirst(t *testing.T) {
	ctx := begin(t, 5*time.Minute)
	kinds(t, ctx, func(t *testing.T, create creator) {
		p := create(request{args: []string{"sh", "-c", "echo last; exec >&-; read line; echo got $line >&2; read line; exit 7"}, stdin: true})
		start(t, ctx, p)
		if got, err := p.stdout.all(ctx); got != "last\n" || err != nil {
			t.Fatalf("stdout is %q, error %v", got, err)
		}
		in := input(t, p)
		write(t, in, "this\n")
		expect(t, ctx, p.stderr, "got this\n")
		write(t, in, "end\n")
		finish(t, ctx, p, 7)
	})
}

// A client learns that the process has closed its input: its writes fail, as those to any pipe, and the outputs go on.
func TestInputRefused(t *testing.T) {
	ctx := begin(t, 5*time.Minute)
	stricter(t, "goes on taking input that nobody reads")
	kinds(t, ctx, func(t *testing.T, create creator) {
		p := create(request{args: []string{"sh", "-c", "trap 'echo usr1; exit 3' USR1; exec <&-; echo closed; while :; do sleep 0.05; done"}, stdin: true})
		start(t, ctx, p)
		in := input(t, p)
		expect(t, ctx, p.stdout, "closed\n")
		if err := in.SetWriteDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(struct{ io.Writer }{in}, endless{}); !errors.Is(err, unix.EPIPE) {
			t.Errorf("writing to an input that is closed: %v, want EPIPE", err)
		}
		if err := p.Kill(ctx, syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		if r := finish(t, ctx, p, 3); r.stdout != "closed\nusr1\n" {
			t.Errorf("stdout is %q", r.stdout)
		}
	})
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// A client that does not read one stream holds up neither the other stream, nor another process, nor the process's
// signals; and when it reads in the end, everything is there.
func TestSlowReader(t *testing.T) {
	ctx := begin(t, 10*time.Minute)
	kinds(t, ctx, func(t *testing.T, create creator) {
		const script = "(head -c 4194304 /dev/zero | tr '\\0' z) & yes errors | head -c 2000000 >&2; wait; echo end >&2"
		p := create(request{args: []string{"sh", "-c", script}, unread: true})
		start(t, ctx, p)
		expect(t, ctx, p.stderr, strings.Repeat("errors\n", 200000))
		q, err := shared.pod.run(ctx, name(t)+"-neighbour", shell("head -c 8388608 /dev/zero"))
		if err != nil {
			t.Fatal(err)
		}
		if r := finish(t, ctx, kept(t, ctx, q, nil), 0); len(r.stdout) != 8<<20 {
			t.Errorf("%d bytes of a process beside the slow one", len(r.stdout))
		}
		p.stdout.read()
		r := finish(t, ctx, p, 0)
		if r.stdout != strings.Repeat("z", 4<<20) || len(r.stderr) != 2000000+len("end\n") {
			t.Errorf("%d bytes on stdout, %d on stderr", len(r.stdout), len(r.stderr))
		}
	})
}
