// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/spec"
)

const (
	// hookOutput bounds what an error quotes of a hook's output, in bytes.
	hookOutput = 1 << 10
)

// hooked are a container's hooks of the host, and what they are told of it.
type hooked struct {
	hooks spec.HostHooks
	// state lacks what changes: the status and the pid.
	state specs.State
}

func hooksOf(o ContainerOptions) hooked {
	return hooked{hooks: spec.ForHost(o.Spec), state: specs.State{
		Version: o.Spec.Version, ID: o.ID, Bundle: o.Bundle, Annotations: o.Spec.Annotations,
	}}
}

// runCreateHooks runs the hooks that prepare a container: Docker up to 26 has one
// that connects its network. The pid that they are told is that of the pod's
// process on the host, whose network namespace is the pod's; an engine that
// moves interfaces into it does so before the first process runs, which is in
// time for [Sandbox.bindNetwork]. A hook that fails is the creation's failure.
func (c *Container) runCreateHooks(ctx context.Context) error {
	for _, h := range c.hooked.hooks.Create {
		if err := c.runHook(ctx, h, specs.StateCreating); err != nil {
			return err
		}
	}
	return nil
}

// runLateHooks runs hooks whose failure changes nothing but the log, as the
// runtime specification has it for those after the start and after the end.
func (c *Container) runLateHooks(ctx context.Context, list []specs.Hook, status specs.ContainerState) {
	for _, h := range list {
		if err := c.runHook(ctx, h, status); err != nil {
			c.log().WithError(err).Warn("a hook failed")
		}
	}
}

// runHook runs a program of the host with the container's state as its input.
func (c *Container) runHook(ctx context.Context, h specs.Hook, status specs.ContainerState) error {
	if !filepath.IsAbs(h.Path) {
		return fmt.Errorf("run hook %q: its path has to be absolute: %w", h.Path, errdefs.ErrInvalidArgument)
	}
	state := c.hooked.state
	state.Status = status
	if status != specs.StateStopped {
		state.Pid = c.sandbox.PID()
	}
	text, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("run hook %s: describe the container: %w", h.Path, err)
	}
	if h.Timeout != nil {
		var cancel context.CancelFunc
		limit := time.Duration(*h.Timeout) * time.Second
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than its %v", limit))
		defer cancel()
	}
	said, err := hookCommand(ctx, h, text)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("run hook %s on the host: %w; it said: %q", h.Path, err, said)
	}
	return nil
}

// hookCommand runs a hook to its end, or kills it and its children. One without
// an environment of its own gets this process's, as with other runtimes.
func hookCommand(ctx context.Context, h specs.Hook, state []byte) (said string, err error) {
	cmd := exec.CommandContext(ctx, h.Path)
	if len(h.Args) > 0 {
		cmd.Args = h.Args
	}
	if len(h.Env) > 0 {
		cmd.Env = h.Env
	}
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(state), &out, &out
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = timeouts.HookPipe
	err = cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it ended well; a child keeps its output
	}
	text := strings.TrimSpace(out.String())
	return text[max(0, len(text)-hookOutput):], err
}
