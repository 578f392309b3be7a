// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/shim/bootstrap"
)

// Pod holds the sandbox of a shim. It is safe for concurrent use.
type Pod struct {
	make   Factory
	follow func(Sandbox)

	// mu guards what follows. It is not held while a sandbox starts or stops.
	mu       sync.Mutex
	id       string // of the pod that is starting or present
	starting *attempt
	sandbox  Sandbox // nil until it has started
	mounts   []specs.Mount
}

// attempt is a Begin that has not returned.
type attempt struct {
	abort context.CancelCauseFunc
	over  chan struct{} // closed when it has
}

// errEnded is why a start breaks off.
var errEnded = fmt.Errorf("the pod was ended while it started: %w", errdefs.ErrAborted)

// New returns a Pod without a sandbox.
func New(f Factory) *Pod { return &Pod{make: f, follow: func(Sandbox) {}} }

// Follow runs fn, in a goroutine of its own, over the sandbox once it has started.
// It is called before Begin.
func (p *Pod) Follow(fn func(Sandbox)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.follow = fn
}

// Begin makes and starts the sandbox. Its containers are to have the mounts, where
// their specs mount nothing else. A second sandbox is errdefs.ErrAlreadyExists.
// When it fails, nothing is left and Begin may be called again; the error says
// what to do about it.
func (p *Pod) Begin(ctx context.Context, o sandbox.Options, mounts ...specs.Mount) (Sandbox, error) {
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	try := &attempt{abort: abort, over: make(chan struct{})}
	if err := p.reserve(o.ID, try); err != nil {
		return nil, err
	}
	defer close(try.over)
	s, err := p.start(ctx, o)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starting = nil
	if err != nil {
		p.id = ""
		return nil, err
	}
	p.sandbox, p.mounts = s, mounts
	// It is that of who follows, and ends with the pod.
	go p.follow(s)
	return s, nil
}

func (p *Pod) reserve(id string, try *attempt) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.id != "" {
		return fmt.Errorf("pod %s: this shim has the pod %s already: %w", id, p.id, errdefs.ErrAlreadyExists)
	}
	p.id, p.starting = id, try
	return nil
}

// start leaves the way to the ledger in the bundle before there is a ledger.
func (p *Pod) start(ctx context.Context, o sandbox.Options) (Sandbox, error) {
	if err := bootstrap.RecordStateDir(o.Bundle, o.Config.Runtime.SandboxDir(o.Namespace, o.ID)); err != nil {
		return nil, err
	}
	s, err := p.make(o)
	if err != nil {
		return nil, err
	}
	if err := s.Start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Sandbox returns the sandbox that has started, whether it still runs or not;
// errdefs.ErrFailedPrecondition when there is none.
func (p *Pod) Sandbox() (Sandbox, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.starting != nil:
		return nil, fmt.Errorf("pod %s is still starting: %w", p.id, errdefs.ErrFailedPrecondition)
	case p.sandbox == nil:
		return nil, fmt.Errorf("this shim has no pod yet: %w", errdefs.ErrFailedPrecondition)
	}
	return p.sandbox, nil
}

// Complete gives a container of the pod what comes from the pod: sysctls, and
// mounts that the engine left to the shim. The spec's own take precedence, except
// for a tmpfs that is in each container's spec by default.
func (p *Pod) Complete(spec *specs.Spec) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sandbox == nil {
		return
	}
	for _, m := range p.mounts {
		at := slices.IndexFunc(spec.Mounts, func(own specs.Mount) bool { return own.Destination == m.Destination })
		if hasNamespace(spec, specs.UserNamespace) && m.Destination != "/dev/shm" {
			m.UIDMappings, m.GIDMappings = spec.Linux.UIDMappings, spec.Linux.GIDMappings
		}
		switch {
		case at < 0:
			spec.Mounts = append(spec.Mounts, m)
		case spec.Mounts[at].Type == "tmpfs":
			spec.Mounts[at] = m
		}
	}
	if sysctls := p.sandbox.Options().Sysctls; len(sysctls) > 0 && spec.Linux != nil {
		merged := maps.Clone(sysctls)
		maps.Copy(merged, spec.Linux.Sysctl)
		spec.Linux.Sysctl = merged
	}
}

// ID names the pod that is starting or present, "" when there is none.
func (p *Pod) ID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.id
}

// PID is the process that stands for the pod on the host, 0 without a pod.
func (p *Pod) PID() uint32 {
	s, err := p.Sandbox()
	if err != nil {
		return 0
	}
	return uint32(s.PID())
}

// End stops the sandbox and releases all it has; without one it does nothing. A
// start that is under way is broken off. It may be called again.
func (p *Pod) End(ctx context.Context) error {
	if err := p.abort(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	s := p.sandbox
	p.mu.Unlock()
	if s == nil {
		return nil
	}
	return s.Stop(ctx)
}

// abort ends a start that is under way and waits until it has undone what it did,
// or has come to its end all the same.
func (p *Pod) abort(ctx context.Context) error {
	p.mu.Lock()
	try := p.starting
	p.mu.Unlock()
	if try == nil {
		return nil
	}
	try.abort(errEnded)
	select {
	case <-try.over:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("end a pod that is still starting: %w", context.Cause(ctx))
	}
}
