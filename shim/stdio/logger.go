// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/timeouts"
)

// logger is a logging program: it reads stdout and stderr as descriptors 3 and
// 4 and closes descriptor 5 when it is ready (containerd, core/runtime/v2/logging).
type logger struct {
	stdout, stderr *os.File
	cmd            *exec.Cmd
}

// startLogger runs the program of a binary:// name and waits until it is ready.
func startLogger(ctx context.Context, t target, namespace, container string) (_ *logger, err error) {
	var pipes pipeSet
	defer func() {
		if err != nil {
			pipes.close()
		}
	}()
	outR, outW := pipes.make()
	errR, errW := pipes.make()
	readyR, readyW := pipes.make()
	if pipes.err != nil {
		return nil, fmt.Errorf("make the pipes of the logging program %s: %w", t.path, pipes.err)
	}
	cmd := exec.Command(t.path, t.args...)
	cmd.Env = append(os.Environ(), "CONTAINER_ID="+container, "CONTAINER_NAMESPACE="+namespace)
	cmd.ExtraFiles = []*os.File{outR, errR, readyW}
	if err := cmd.Start(); err != nil {
		return nil, wrong("start the logging program that the engine named", err)
	}
	for _, f := range cmd.ExtraFiles {
		_ = f.Close() // the program has its copies
	}
	l := &logger{stdout: outW, stderr: errW, cmd: cmd}
	if err := awaitReady(ctx, readyR); err != nil {
		return nil, errors.Join(fmt.Errorf("the logging program %s does not say that it is ready: %w", t.path, err),
			cmd.Process.Kill(), ignoreExit(cmd.Wait()))
	}
	return l, readyR.Close()
}

// awaitReady reads until the program closes its end.
func awaitReady(ctx context.Context, ready *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, timeouts.LoggerReady)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = ready.SetReadDeadline(time.Now()) })
	defer stop()
	if _, err := io.Copy(io.Discard, ready); err != nil {
		return errors.Join(err, ctx.Err())
	}
	return nil
}

// wait ends with the program, which has seen the end of its inputs by then.
func (l *logger) wait() error {
	term := time.AfterFunc(timeouts.LoggerEnd, func() { _ = l.cmd.Process.Signal(unix.SIGTERM) })
	kill := time.AfterFunc(2*timeouts.LoggerEnd, func() { _ = l.cmd.Process.Kill() })
	defer term.Stop()
	defer kill.Stop()
	if err := l.cmd.Wait(); err != nil {
		return fmt.Errorf("the logging program %s ended: %w", l.cmd.Path, err)
	}
	return nil
}

// shared closes the program's inputs once and waits when both are closed.
type shared struct {
	*os.File
	last func()
	once sync.Once
}

func (s *shared) Close() error {
	err := os.ErrClosed
	s.once.Do(func() {
		err = s.File.Close()
		s.last()
	})
	return err
}

func ignoreExit(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

// pipeSet collects pipes, to close them together when one cannot be made.
type pipeSet struct {
	files []*os.File
	err   error
}

func (p *pipeSet) make() (r, w *os.File) {
	if p.err != nil {
		return nil, nil
	}
	r, w, p.err = os.Pipe()
	if p.err == nil {
		p.files = append(p.files, r, w)
	}
	return r, w
}

func (p *pipeSet) close() {
	for _, f := range p.files {
		_ = f.Close() // some are closed already
	}
}
