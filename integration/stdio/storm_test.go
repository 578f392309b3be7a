// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"golang.org/x/sync/errgroup"
)

// together is how many containers come and go at a time.
const together = 8

// Containers that print something and exit at once: each of their streams is whole and has an end.
func TestShortLived(t *testing.T) {
	ctx := begin(t, 25*time.Minute)
	count, err := strconv.Atoi(envOr("KATAPOD_STDIO_CONTAINERS", "200"))
	if err != nil {
		t.Fatal(err)
	}
	unleaked(t, ctx, func() {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(together)
		for i := range count {
			group.Go(func() error { return shortLived(ctx, i) })
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%d containers", count)
	})
}

// shortLived runs container number i, whose output no other has.
func shortLived(ctx context.Context, i int) error {
	const script = `BEGIN { for (i = 0; i < 200; i++) { print n, i, i * n; print i, n > "/dev/stderr" } }`
	number := strconv.Itoa(i)
	c, err := shared.pod.run(ctx, "short-"+number, request{args: []string{"awk", "-v", "n=" + number, script}})
	if err != nil {
		return err
	}
	r, err := c.wait(ctx)
	if err != nil {
		return err
	}
	var stdout, stderr strings.Builder
	for k := range 200 {
		fmt.Fprintln(&stdout, i, k, k*i)
		fmt.Fprintln(&stderr, k, i)
	}
	if r.code != 0 || sum(r.stdout) != sum(stdout.String()) || sum(r.stderr) != sum(stderr.String()) {
		return fmt.Errorf("container %d: exit code %d, %d of %d bytes on stdout, %d of %d on stderr, which end in %.100q",
			i, r.code, len(r.stdout), stdout.Len(), len(r.stderr), stderr.Len(), r.stderr[max(0, len(r.stderr)-100):])
	}
	return nil
}

// A hundred execs at the same time, each with its own input, output and exit code.
func TestExecsInParallel(t *testing.T) {
	ctx := begin(t, 10*time.Minute)
	const count = 100
	within := resident(t, ctx)
	unleaked(t, ctx, func() {
		var group errgroup.Group
		for i := range count {
			text := random(t, 64<<10)
			group.Go(func() error { return oneExec(ctx, within, i, text) })
		}
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
	})
}

func oneExec(ctx context.Context, within *process, i int, text string) error {
	script := fmt.Sprintf("cat; echo %d >&2; exit %d", i, i)
	p, err := within.exec(ctx, fmt.Sprintf("exec-%d", i), request{args: []string{"sh", "-c", script}, stdin: true})
	if err != nil {
		return err
	}
	if err := p.start(ctx); err != nil {
		return err
	}
	in, err := p.input()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(in, text); err != nil {
		return fmt.Errorf("write to exec %d: %w", i, err)
	}
	if err := in.Close(); err != nil {
		return err
	}
	if err := p.CloseIO(ctx, client.WithStdinCloser); err != nil {
		return err
	}
	r, err := p.wait(ctx)
	if err != nil {
		return err
	}
	if r.code != uint32(i) || sum(r.stdout) != sum(text) || r.stderr != strconv.Itoa(i)+"\n" {
		return fmt.Errorf("exec %d: exit code %d, %d of %d bytes on stdout, stderr %.100q", i, r.code, len(r.stdout), len(text), r.stderr)
	}
	return nil
}
