// SPDX-License-Identifier: Apache-2.0

package template

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/hypervisor"
)

// Command is the first argument of a program that is to be a builder: its main
// hands its standard input to [Serve].
const Command = "build-template"

// maxRequest bounds what a builder reads, in bytes.
const maxRequest = 1 << 20

// behind is the priority of builders, see nice(2): a tenth of a pod's share of a
// busy host. With less, a burst of pods that all boot, for want of the template,
// would keep it from being made.
const behind = 10

// Request is what a builder is told.
type Request struct {
	Store  Store
	Config hypervisor.Config
	// Unhurried lets pods go first on a busy host.
	Unhurried bool
}

// Spawn starts program as a builder that waits until begin is called, or this
// process ends. It inherits the caller's cgroup, so that the caller must be in no
// pod's. Nobody waits for it: what comes of it is seen in the store. It is in a
// PID namespace of its own, as the first process, with which the kernel ends all
// others, so that its VM does not outlive it.
func Spawn(program string, r Request) (begin func(), err error) {
	text, err := encode(r)
	if err != nil {
		return nil, err
	}
	cmd := builder(exec.Command(program, Command))
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("make the input of a template's builder: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a template's builder: %w", err)
	}
	go func() { _ = cmd.Wait() }() // The store tells how it went.
	// A request is smaller than a pipe, so that this does not wait.
	if _, err := input.Write(text); err != nil {
		return nil, errors.Join(fmt.Errorf("tell a template's builder what to build: %w", err), input.Close())
	}
	return func() { _ = input.Close() }, nil
}

// Run is Spawn for those who wait: it returns when the template is there.
func Run(ctx context.Context, program string, r Request) error {
	text, err := encode(r)
	if err != nil {
		return err
	}
	cmd := builder(exec.CommandContext(ctx, program, Command))
	input, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("make the input of a template's builder: %w", err)
	}
	var said limited
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start a template's builder: %w", err)
	}
	_, err = input.Write(text)
	err = errors.Join(err, input.Close(), cmd.Wait())
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", said, err)
	}
	return nil
}

func encode(r Request) ([]byte, error) {
	r.Config = impersonal(r.Config)
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("write the request for a template: %w", err)
	}
	return text, nil
}

// builder sets what is particular about a builder's process.
func builder(cmd *exec.Cmd) *exec.Cmd {
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Setpgid: true}
	return cmd
}

// limited keeps the first KiB of what is written.
type limited []byte

// Write implements [io.Writer].
func (l *limited) Write(p []byte) (int, error) {
	*l = append(*l, p[:min(len(p), 1024-len(*l))]...)
	return len(p), nil
}

// String is what was kept.
func (l limited) String() string { return string(l) }

// Serve is the builder's main: it reads a request to its end, and builds. That
// another process builds one is no error.
func Serve(ctx context.Context, input io.Reader, newVM func(hypervisor.Config) (hypervisor.VM, error)) error {
	// The first process of a namespace gets no signal that it does not handle.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, unix.SIGTERM)
	defer stop()
	text, err := io.ReadAll(io.LimitReader(input, maxRequest))
	if err != nil {
		return fmt.Errorf("read the request for a template: %w", err)
	}
	var r Request
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("read the request for a template: %w: %w", err, errdefs.ErrInvalidArgument)
	}
	if r.Unhurried {
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, behind); err != nil {
			return fmt.Errorf("give way to pods: %w", err)
		}
	}
	_, err = Builder{Store: r.Store, Config: r.Config, NewVM: newVM}.Build(ctx)
	if errdefs.IsAlreadyExists(err) {
		return nil
	}
	return err
}
