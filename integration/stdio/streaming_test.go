// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/node"
)

// What kubectl uses: exec and attach by CRI's streaming server, several at a time, beside a container that floods its
// log. Each client gets all of its own bytes, in both directions.
func TestStreamingUnderLoad(t *testing.T) {
	ctx := begin(t, 15*time.Minute)
	spec := node.Pod{Name: "streaming", Handler: shared.runtime}
	pod, err := shared.RunPod(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
		defer cancel()
		if err := shared.RemovePod(cleaning, pod); err != nil {
			t.Error(err)
		}
	})
	begun := func(c node.Container) string {
		t.Helper()
		c.Image = images.Busybox
		id, err := shared.StartContainer(ctx, pod, spec, c)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	begun(node.Container{Name: "flood", Args: []string{"sh", "-c", "while :; do echo 0123456789012345678901234567890123456789; done"}})
	busy := begun(node.Container{Name: "busy", Args: []string{"probe", "pause"}})
	attach := begun(node.Container{Name: "attach", Args: []string{"cat"}, Stdin: true, StdinOnce: true})

	var group errgroup.Group
	for i := range 6 {
		text := random(t, 2<<20)
		group.Go(func() error {
			return there(ctx, text, "exec", "--interactive", busy, "sh", "-c", fmt.Sprintf("cat; echo exec %d >&2", i))
		})
	}
	text := random(t, 2<<20)
	group.Go(func() error { return there(ctx, text, "attach", "--stdin", attach) })
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	flooded(t, filepath.Join(shared.PodLogs(), "streaming", "flood.log"))
}

// there wants the text back from a crictl command that reads it.
func there(ctx context.Context, text string, args ...string) error {
	res, err := shared.Runner().With(strings.NewReader(text)).Try(ctx, "crictl", args...)
	if err != nil {
		return err
	}
	if res.Code != 0 || sum(res.Stdout) != sum(text) {
		return fmt.Errorf("crictl %s: exit code %d, %d of %d bytes came back; it said %.300q", args[0], res.Code, len(res.Stdout), len(text), res.Stderr)
	}
	return nil
}

// flooded wants the log of the container beside them to be whole lines only.
func flooded(t *testing.T, path string) {
	t.Helper()
	log, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(string(log)) {
		if !strings.HasSuffix(line, "\n") {
			break // is being written
		}
		if lines++; !strings.HasSuffix(line, " stdout F 0123456789012345678901234567890123456789\n") {
			t.Fatalf("line %d of the flooded log is %.200q", lines, line)
		}
	}
	t.Logf("%d lines were logged meanwhile", lines)
	if lines == 0 {
		t.Error("nothing was logged")
	}
}
