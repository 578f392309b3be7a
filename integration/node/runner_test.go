// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestRunnerResults(t *testing.T) {
	for _, c := range []struct {
		name, script string
		want         Result
	}{
		{"output", "echo out; echo err >&2", Result{Stdout: "out\n", Stderr: "err\n"}},
		{"exit code", "exit 9", Result{Code: 9}},
		{"signal", "kill -KILL $$", Result{Code: 137}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Runner{}.Try(t.Context(), "sh", "-c", c.script)
			got.Elapsed = 0
			if err != nil || got != c.want {
				t.Errorf("got %+v, want %+v, error %v", got, c.want, err)
			}
		})
	}
}

func TestRunnerErrorsQuoteTheCommand(t *testing.T) {
	_, err := Runner{}.Run(t.Context(), "sh", "-c", "echo what went wrong >&2; exit 4")
	for _, want := range []string{"`sh -c 'echo what went wrong >&2; exit 4'`", "exit code 4", "what went wrong"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error %v does not contain %q", err, want)
		}
	}
	if _, err := (Runner{}).Run(t.Context(), "/no/such/program"); err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("the error of a program that does not exist is %v", err)
	}
}

func TestRunnerStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := Runner{}.Try(ctx, "sh", "-c", "echo started; exec sleep 60")
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 50*time.Second {
		t.Errorf("after %s the error is %v", time.Since(begin), err)
	}
}

func TestRunnerPrefixAndStdin(t *testing.T) {
	r := Runner{Prefix: []string{"env", "COLOUR=blue"}, Dir: "/"}.With(strings.NewReader("typed"))
	if out, err := r.Run(t.Context(), "sh", "-c", "echo $COLOUR $(pwd) $(cat)"); err != nil || out != "blue / typed\n" {
		t.Errorf("printed %q, error %v", out, err)
	}
}

func TestTerminal(t *testing.T) {
	term, err := Runner{}.StartTerminal(t.Context(), 77, 21, "sh", "-c", "stty size; "+PlainShell)
	if err != nil {
		t.Fatal(err)
	}
	if err := term.Dialogue(t.Context(), "", "21 77", "echo t''yped\n", "\ntyped\n"); err != nil {
		t.Fatal(err)
	}
	if err := term.Resize(50, 11); err != nil {
		t.Fatal(err)
	}
	if err := term.Dialogue(t.Context(), "stty size\n", "11 50", "exit 6\n", ""); err != nil {
		t.Fatal(err)
	}
	if err := term.Expect(t.Context(), "never printed"); err == nil || !strings.Contains(err.Error(), "code 6") {
		t.Errorf("waiting for what an ended command did not print: %v", err)
	}
	if code, err := term.Wait(t.Context()); err != nil || code != 6 {
		t.Errorf("the command ended with %d, error %v", code, err)
	}
}
