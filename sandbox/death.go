// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/protocols/guard"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/failure"
)

// Everything that can end a pod under its containers reports to died: the VMM,
// its helpers, the agent's connection and an agent that hangs. The first report counts; it ends the
// pod's life, and with it every call to the guest, and leads to bury.

// watchVM reports the VMM's end.
func (s *Sandbox) watchVM(vm hypervisor.VM) {
	select {
	case <-vm.Done():
		s.died(vmCause(vm))
	case <-s.life.ctx.Done():
	}
}

// vmCause is what a VMM that ended says.
func vmCause(vm hypervisor.VM) error {
	cause := vm.Exit().Cause
	if cause == nil {
		cause = errors.New("the hypervisor was stopped")
	}
	if code, known := vmCode(cause); known {
		return failure.With(code, cause)
	}
	return failure.With(failure.VMMDied, cause)
}

// watchShare reports the end of the share's daemon, without which the guest
// hangs on its files.
func (s *Sandbox) watchShare(d ShareDaemon) {
	select {
	case <-d.Done():
		s.died(failure.With(failure.VirtiofsdDied, fmt.Errorf("the file system daemon of the pod ended: %w", d.Exit())))
	case <-s.life.ctx.Done():
	}
}

// agentLost reports the end of the agent's connection.
func (s *Sandbox) agentLost(err error) {
	code := failure.AgentLost
	if errors.Is(err, guard.ErrHostile) {
		code = failure.GuestHostile
	}
	s.died(failure.With(code, fmt.Errorf("the connection to the agent in the guest broke: %w", err)))
}

// died ends the pod's life because of cause. A pod that starts notices by its
// steps; one that runs is buried.
func (s *Sandbox) died(cause error) {
	s.mu.Lock()
	if s.life.over() {
		s.mu.Unlock()
		return
	}
	s.life.end(cause)
	to, err := next(podTransitions(), s.name(), s.state, onDeath)
	if err != nil { // it starts, or is stopped already
		s.mu.Unlock()
		return
	}
	s.state = to
	f := s.newFailure(failure.StepRunning, cause)
	s.failure = f
	s.mu.Unlock()
	torn := s.torn()
	s.tell(f, torn) // before anybody hears of the end
	s.killAll()
	// Both are the pod's, and end within their timeouts; bury closes done.
	go s.hush()
	go s.bury(torn)
}

// hush ends the output of a pod that died, after what may still be on its way. It
// ends by itself where the VMM does; but a VMM that lives on, without its agent or
// its share, would hold back everybody who waits for a process: an engine is told
// of an exit behind the last byte.
func (s *Sandbox) hush() {
	timer := time.NewTimer(timeouts.LastOutput)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.done:
	}
	for _, c := range s.Containers() {
		for _, p := range c.Processes() {
			p.closeStreams()
		}
	}
}

// killAll gives every process its end. Nobody asks the guest: it is gone. It follows
// each end of the pod's life.
func (s *Sandbox) killAll() {
	for _, c := range s.Containers() {
		c.die()
	}
	s.killOnce.Do(func() { close(s.killed) })
}

// bury releases a pod that died, and tells the containers that were torn away once more,
// since the cause is known for sure by now.
func (s *Sandbox) bury(torn []*Container) {
	f := s.explain(context.Background(), failure.StepRunning, context.Cause(s.life.ctx))
	s.mu.Lock()
	s.failure = f
	s.mu.Unlock()
	s.log.WithError(f).Error("the pod died")
	s.tell(f, torn)
	s.report(f)
	s.end(context.Background())
}

// explain finds the cause of the cause: an agent whose connection broke may be
// that of a VM that is just ending. The VM is ended for good, so that its last
// words are complete.
func (s *Sandbox) explain(ctx context.Context, step string, cause error) *Failure {
	var booted bool
	s.parts.with(func(p *parts) { booted = p.booted })
	if booted && !errors.Is(cause, guard.ErrHostile) && !errors.Is(cause, errStopped) && !errors.Is(cause, context.Canceled) {
		if own := s.awaitVMCause(); own != nil {
			cause = own
		}
	}
	s.silenceVM(ctx)
	return s.newFailure(step, cause)
}

// awaitVMCause is why the VM ended by itself, nil if it does not soon.
func (s *Sandbox) awaitVMCause() error {
	vm := s.machine()
	timer := time.NewTimer(s.patience)
	defer timer.Stop()
	select {
	case <-vm.Done():
	case <-timer.C:
	}
	select { // both may have come
	case <-vm.Done():
	default:
		return nil
	}
	if vm.Exit().Cause == nil {
		return nil
	}
	return vmCause(vm)
}

// silenceVM ends the VM ahead of the rest. Its error comes again with that.
func (s *Sandbox) silenceVM(ctx context.Context) { _ = s.undoVM(ctx) }

// startFailed takes back what a start that failed did.
func (s *Sandbox) startFailed(ctx context.Context, err error) error {
	step, cause := splitStep(err)
	if s.life.over() {
		cause = context.Cause(s.life.ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.Cause+timeouts.UndoStart)
	defer cancel()
	f := s.explain(ctx, step, cause)
	s.mu.Lock()
	s.failure = f
	s.mu.Unlock()
	if err := s.move(onFail); err != nil {
		return err
	}
	s.life.end(f)
	s.log.WithError(f).Error("the pod did not start")
	s.report(f)
	s.end(ctx)
	if err := s.removeState(); err != nil {
		s.log.WithError(err).Error("cannot remove the state directory of the pod")
	}
	return f
}

// splitStep takes an error and the step that it came from apart.
func splitStep(err error) (step string, cause error) {
	var at *stepError
	if errors.As(err, &at) {
		return at.step, at.err
	}
	return failure.StepRunning, err
}
