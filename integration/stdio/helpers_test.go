// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
)

// sum is a checksum as sha256sum prints it.
func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

// random are bytes that no compression, alignment or repetition can hide a loss in.
func random(t *testing.T, size int) string {
	t.Helper()
	b := make([]byte, size)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// name makes an id of a test's name.
func name(t *testing.T) string {
	return strings.ToLower(strings.NewReplacer("/", "-", "_", "-", "#", "-").Replace(t.Name()))
}

// creator makes a process that waits for its start; it is removed at the test's end.
type creator func(request) *process

// kinds runs a test with the first process of a container, and with an exec.
func kinds(t *testing.T, ctx context.Context, test func(*testing.T, creator)) {
	t.Helper()
	t.Run("container", func(t *testing.T) {
		test(t, func(r request) *process {
			t.Helper()
			c, err := shared.pod.create(ctx, name(t), r)
			return kept(t, ctx, c, err)
		})
	})
	t.Run("exec", func(t *testing.T) {
		within := resident(t, ctx)
		test(t, func(r request) *process {
			t.Helper()
			e, err := within.exec(ctx, "exec", r)
			return kept(t, ctx, e, err)
		})
	})
}

// resident runs a container that does nothing, for execs.
func resident(t *testing.T, ctx context.Context) *process {
	t.Helper()
	c, err := shared.pod.run(ctx, name(t)+"-resident-"+strconv.FormatInt(time.Now().UnixNano(), 36), request{args: []string{"probe", "pause"}})
	return kept(t, ctx, c, err)
}

func kept(t *testing.T, ctx context.Context, p *process, err error) *process {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.end(ctx); err != nil {
			t.Error(err)
		}
	})
	return p
}

func start(t *testing.T, ctx context.Context, p *process) {
	t.Helper()
	if err := p.start(ctx); err != nil {
		t.Fatal(err)
	}
}

// input opens the process's input; the test's end closes it.
func input(t *testing.T, p *process) *os.File {
	t.Helper()
	in, err := p.input()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() }) // most tests have
	return in
}

func write(t *testing.T, in *os.File, text string) {
	t.Helper()
	if _, err := in.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, ctx context.Context, o *output, text string) {
	t.Helper()
	if err := o.expect(ctx, text); err != nil {
		t.Fatal(err)
	}
}

func closeIO(t *testing.T, ctx context.Context, p *process) {
	t.Helper()
	if err := p.CloseIO(ctx, client.WithStdinCloser); err != nil {
		t.Fatal(err)
	}
}

// finish waits for the end and wants this exit code.
func finish(t *testing.T, ctx context.Context, p *process, code uint32) result {
	t.Helper()
	r, err := p.wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if r.code != code {
		t.Errorf("exit code %d, want %d; stderr: %.300q", r.code, code, r.stderr)
	}
	return r
}

// stricter skips a test that asks for more than runc does.
func stricter(t *testing.T, what string) {
	t.Helper()
	if shared.runtime == "runc" {
		t.Skip("runc's shim " + what)
	}
}
