// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/katapod/katapod/integration/node"
)

// showStreams shows the ways into and out of a container.
func (d *demo) showStreams() error {
	for _, s := range []struct {
		name string
		work func() ([]string, error)
	}{
		{"crictl exec, output and error output and exit code", d.showExec},
		{"crictl exec with standard input, 1 MiB and its checksum", d.showStdin},
		{"crictl exec with a terminal, resized", d.showTerminal},
		{"crictl attach to a shell", d.showAttach},
		{"crictl logs", d.showLogs},
		{"crictl stats", d.showStats},
	} {
		if err := d.check(s.name, s.work); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) showExec() ([]string, error) {
	res, err := d.Runner().Try(d.ctx, "crictl", "exec", d.one, "sh", "-c", "echo out; echo err >&2; exit 42")
	if err != nil {
		return nil, err
	}
	fact := fmt.Sprintf("printed %q, exit code 42 arrived, %d ms", strings.TrimSpace(res.Stdout), res.Elapsed.Milliseconds())
	if res.Stdout != "out\n" || !strings.Contains(res.Stderr, "err\n") || !strings.Contains(res.Stderr, "exit code 42") {
		return nil, fmt.Errorf("exec printed %q and %q; out, err and exit code 42 should be there", res.Stdout, res.Stderr)
	}
	return []string{fact}, nil
}

func (d *demo) showStdin() ([]string, error) {
	text := strings.Repeat("0123456789abcde\n", 1<<16)
	got, err := d.Runner().With(strings.NewReader(text)).Run(d.ctx, "crictl", "exec", "-i", d.one, "sha256sum")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(text))
	want := hex.EncodeToString(sum[:])
	if !strings.HasPrefix(got, want) {
		return nil, fmt.Errorf("the checksum inside the container is %q and should be %s", got, want)
	}
	return []string{"sha256 " + want[:16] + "… on both sides"}, nil
}

func (d *demo) showTerminal() ([]string, error) {
	ctx, cancel := context.WithTimeout(d.ctx, 20*time.Second)
	defer cancel()
	t, err := d.Runner().StartTerminal(ctx, 101, 33, "crictl", "exec", "-i", "-t", d.one, "sh", "-c", node.PlainShell)
	if err != nil {
		return nil, err
	}
	if err := t.Dialogue(ctx, "tty; stty size\n", "/dev/pts/", "", "33 101"); err != nil {
		return nil, err
	}
	if err := t.Resize(120, 40); err != nil {
		return nil, err
	}
	// The new size travels on a way of its own, so the shell asks until it has come.
	if err := t.Dialogue(ctx, "until stty size | grep '40 120'; do :; done; echo re''sized\n", "resized", "exit\n", ""); err != nil {
		return nil, err
	}
	_, err = t.Wait(ctx)
	return []string{"33 rows of 101 columns, then 40 of 120"}, err
}

func (d *demo) showAttach() ([]string, error) {
	ctx, cancel := context.WithTimeout(d.ctx, 30*time.Second)
	defer cancel()
	var err error
	d.term, err = d.start(d.first, node.Container{Name: "shell", Args: []string{"sh", "-c", node.PlainShell}, TTY: true, Stdin: true}, "")
	if err != nil {
		return nil, err
	}
	t, err := d.Runner().StartTerminal(ctx, 80, 24, "crictl", "attach", "-i", "-t", d.term)
	if err != nil {
		return nil, err
	}
	if err := t.Dialogue(ctx, "echo att''ached $((6*7))\n", "attached 42", "exit\n", ""); err != nil {
		return nil, err
	}
	_, err = t.Wait(ctx)
	return []string{"a third container with a terminal answered: attached 42"}, err
}

func (d *demo) showLogs() ([]string, error) {
	id, err := d.start(d.first, node.Container{
		Name: "logger", Args: []string{"sh", "-c", "seq 10000; echo to stderr >&2; echo end"},
	}, "end")
	if err != nil {
		return nil, err
	}
	res, err := d.Runner().Try(d.ctx, "crictl", "logs", id)
	if err != nil {
		return nil, err
	}
	if lines := strings.Count(res.Stdout, "\n"); lines != 10001 || !strings.Contains(res.Stderr, "to stderr") {
		return nil, fmt.Errorf("the log has %d lines of output and %q of error output; it should have 10001 and one", lines, res.Stderr)
	}
	return []string{"10001 lines of output and one of error output, all there"}, nil
}

func (d *demo) showStats() ([]string, error) {
	var stats struct {
		Stats []struct {
			CPU    struct{ UsageCoreNanoSeconds struct{ Value string } }
			Memory struct{ WorkingSetBytes struct{ Value string } }
		}
	}
	if err := d.CrictlJSON(d.ctx, &stats, "stats", "--id", d.one); err != nil {
		return nil, err
	}
	if len(stats.Stats) != 1 {
		return nil, fmt.Errorf("%d containers have stats, one should", len(stats.Stats))
	}
	cpu, _ := strconv.ParseFloat(stats.Stats[0].CPU.UsageCoreNanoSeconds.Value, 64) // 0 when it is no number
	memory, _ := strconv.ParseFloat(stats.Stats[0].Memory.WorkingSetBytes.Value, 64)
	if cpu <= 0 || memory <= 0 {
		return nil, fmt.Errorf("container one shows %.0f ns of CPU and %.0f bytes of memory; both should be more than 0", cpu, memory)
	}
	return []string{fmt.Sprintf("container one used %.0f ms of CPU and %.1f MiB of memory", cpu/1e6, memory/(1<<20))}, nil
}
