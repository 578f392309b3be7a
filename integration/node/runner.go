// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Runner says how commands are started: the words put before each of them (nsenter, nice), their working directory
// and environment. The zero value runs commands as this process would.
type Runner struct {
	Prefix []string // words before every command, for example an nsenter call
	Dir    string   // working directory; empty means this process's
	Env    []string // whole environment; nil means this process's
	Stdin  io.Reader
}

// Result is what a command that ran to its end left.
type Result struct {
	Stdout, Stderr string
	Code           int // exit code; 128+n when signal n ended the command
	Elapsed        time.Duration
}

// Command makes the command without starting it, for callers that want its pipes. It is killed when ctx ends.
func (r Runner) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	words := append(append([]string{}, r.Prefix...), name)
	words = append(words, args...)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin = r.Dir, r.Env, r.Stdin
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// Try runs the command to its end. An exit code other than 0 is a result, not an error; the error says that the
// command did not start or was stopped because ctx ended.
func (r Runner) Try(ctx context.Context, name string, args ...string) (Result, error) {
	cmd := r.Command(ctx, name, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	begin := time.Now()
	err := cmd.Run()
	res := Result{Stdout: out.String(), Stderr: errOut.String(), Elapsed: time.Since(begin)}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return res, fmt.Errorf("%s was stopped after %s because its time was over (%w); it had printed: %s",
			quote(name, args), res.Elapsed.Round(time.Millisecond), ctx.Err(), said(res))
	case errors.As(err, &exit):
		res.Code = exitCode(exit.ProcessState)
		return res, nil
	case err != nil:
		return res, fmt.Errorf("start %s: %w", quote(name, args), err)
	}
	return res, nil
}

// Run is Try for commands that have to succeed: it returns the standard output, and an error that quotes the
// command and what it said when the exit code is not 0.
func (r Runner) Run(ctx context.Context, name string, args ...string) (string, error) {
	res, err := r.Try(ctx, name, args...)
	if err != nil {
		return res.Stdout, err
	}
	if res.Code != 0 {
		return res.Stdout, fmt.Errorf("%s ended with exit code %d: %s", quote(name, args), res.Code, said(res))
	}
	return res.Stdout, nil
}

// With returns the runner with this standard input.
func (r Runner) With(stdin io.Reader) Runner {
	r.Stdin = stdin
	return r
}

func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// said is what a command printed, errors before output, cut to the last 2000 bytes.
func said(res Result) string {
	text := strings.TrimSpace(res.Stderr)
	if text == "" {
		text = strings.TrimSpace(res.Stdout)
	}
	if text == "" {
		return "it printed nothing"
	}
	if len(text) > 2000 {
		text = "… " + text[len(text)-2000:]
	}
	return text
}

func quote(name string, args []string) string {
	words := []string{name}
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\n'\"$;|&") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	line := strings.Join(words, " ")
	if len(line) > 300 {
		line = line[:300] + "…"
	}
	return "`" + line + "`"
}
