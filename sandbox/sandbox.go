// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/log"

	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox/failure"
	"github.com/katapod/katapod/sandbox/ledger"
	"github.com/katapod/katapod/sandbox/sizing"
)

// Sandbox is one pod: a VM and the containers in it. It is safe for concurrent
// use.
type Sandbox struct {
	options   Options
	drivers   Drivers
	log       *log.Entry
	dirs      dirs
	life      life
	resources *resources
	runner    *runner
	done      chan struct{}
	killed    chan struct{} // closed when every process has its end
	killOnce  sync.Once
	oom       chan string
	parts     parts
	network   podNetwork
	liveness  liveness // set before the start
	// patience is timeouts.Cause; set before the start.
	patience time.Duration
	forwards portForward
	share    podShare
	copies   podCopies
	memory   podMemory
	leaving  departures
	// closeLedger gives the ledger up once the pod is no more.
	closeLedger sync.Once

	// mu guards what follows. Of the pod's other mutexes only that of parts is taken under it.
	mu         sync.Mutex
	state      State
	failure    *Failure
	releaseErr error
	// releaseTold says that releaseErr has been returned.
	releaseTold bool
	startedAt   time.Time
	endedAt     time.Time
	containers  map[string]*Container
	allowed     sizing.Request // what the containers may use together, as last updated
}

// New makes a pod that is not started. On the host it makes the state directory
// with the ledger and nothing else; Stop removes them. An id whose directory
// exists is errdefs.ErrAlreadyExists, unless its pod is gone: what that one left is
// released then.
func New(o Options, d Drivers) (*Sandbox, error) {
	if err := validID("pod id", o.ID); err != nil {
		return nil, err
	}
	if o.Namespace != "" {
		if err := validID("namespace", o.Namespace); err != nil {
			return nil, err
		}
	}
	dirs := newDirs(o.Config.Runtime, o.Namespace, o.ID)
	if err := dirs.claim(d); err != nil {
		return nil, err
	}
	book, err := ledger.Open(dirs.ledger())
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dirs.state))
	}
	if err := failure.Forget(o.Config.Runtime.FailuresDir(), o.Namespace, o.ID); err != nil {
		log.L.WithField("sandbox", o.ID).WithError(err).Warn("the failure report of an earlier pod of this id stays")
	}
	s := &Sandbox{
		options:    o,
		drivers:    d,
		log:        log.L.WithField("sandbox", o.ID),
		dirs:       dirs,
		life:       newLife(),
		resources:  &resources{ledger: book, undo: d.undoTable()},
		runner:     &runner{timeline: &timeline{}},
		done:       make(chan struct{}),
		killed:     make(chan struct{}),
		oom:        make(chan string),
		state:      StateCreated,
		containers: map[string]*Container{},
		allowed:    o.Resources,
		liveness:   defaultLiveness(),
		patience:   timeouts.Cause,
		share:      newPodShare(),
		copies:     newPodCopies(),
		memory:     newPodMemory(),
		network:    podNetwork{bound: make(chan struct{})},
	}
	s.runner.timeline.begun = func(step string) { s.log.WithField("step", step).Debug("a step begins") }
	return s, nil
}

// ID names the pod.
func (s *Sandbox) ID() string { return s.options.ID }

// Options are what the pod was made from.
func (s *Sandbox) Options() Options { return s.options }

// Done is closed when the pod has ended, for whatever reason, and nothing of
// it is left on the host but its state directory.
func (s *Sandbox) Done() <-chan struct{} { return s.done }

// State is where the pod is in its life.
func (s *Sandbox) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Failure is why the pod did not start, or died; nil when neither is so.
func (s *Sandbox) Failure() *Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// StartedAt is when the pod was up; zero before.
func (s *Sandbox) StartedAt() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.startedAt
}

// EndedAt is when the pod ended; zero before.
func (s *Sandbox) EndedAt() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.endedAt
}

// Timeline lists the steps of the start, as far as they have ended.
func (s *Sandbox) Timeline() []Step { return s.runner.timeline.list() }

// OOMEvents tells the ids of containers in which the guest killed a process for
// lack of memory, one per kill. It is never closed; Done says that no more come.
func (s *Sandbox) OOMEvents() <-chan string { return s.oom }

// Start brings the pod up, step by step. When a step fails, everything is taken
// back, the pod is stopped, and the error is a *[Failure]. A pod that is not
// created is errdefs.ErrFailedPrecondition.
func (s *Sandbox) Start(ctx context.Context) error {
	if err := s.move(onStart); err != nil {
		return err
	}
	defer s.releaseTemplate()
	defer s.leavePlace()
	began := time.Now()
	s.runner.timeline.start(began)
	running, cancel := s.life.during(ctx, s.startTimeout())
	defer cancel()
	err := s.runner.run(running, s.stages())
	if err == nil {
		err = s.up()
	}
	if err != nil {
		return s.startFailed(ctx, err)
	}
	s.log.WithField("took", time.Since(began).Round(time.Millisecond)).Info("the pod is up")
	if err := errors.Join(s.runner.timeline.write(s.dirs.timeline(), s.Origin()), writeJSON(s.dirs.info(), s.Info())); err != nil {
		s.log.WithError(err).Warn("cannot store the timeline of the start for other tools")
	}
	// All of these are the pod's, and end with its life.
	go s.collectOOM()
	go s.watchAgent()
	go s.forwardPorts()
	go s.watchNetwork()
	go s.clearLeftovers(time.Now().Add(-timeouts.LeftoverAge))
	return nil
}

// up makes the pod run, unless it died meanwhile.
func (s *Sandbox) up() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.over() {
		return &stepError{step: failure.StepRunning, err: context.Cause(s.life.ctx)}
	}
	to, err := next(podTransitions(), s.name(), s.state, onUp)
	if err != nil {
		return err
	}
	s.state, s.startedAt = to, time.Now()
	return nil
}

// move takes one arrow of the life cycle.
func (s *Sandbox) move(on string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	to, err := next(podTransitions(), s.name(), s.state, on)
	s.state = to
	return err
}

// name is the pod in errors.
func (s *Sandbox) name() string { return "pod " + s.options.ID }

// Container returns a container of the pod, or errdefs.ErrNotFound.
func (s *Sandbox) Container(id string) (*Container, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.containers[id]; ok {
		return c, nil
	}
	return nil, fmt.Errorf("container %s in pod %s: %w", id, s.options.ID, errdefs.ErrNotFound)
}

// Containers returns the pod's containers, in no order.
func (s *Sandbox) Containers() []*Container {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*Container, 0, len(s.containers))
	for _, c := range s.containers {
		all = append(all, c)
	}
	return all
}

// enroll adds a container to a pod that runs.
func (s *Sandbox) enroll(c *Container) error {
	if err := validID("container id", c.id); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != StateRunning || s.life.over() {
		err := fmt.Errorf("pod %s is %s and takes no container: %w", s.options.ID, s.state, errdefs.ErrFailedPrecondition)
		if s.failure != nil {
			return fmt.Errorf("%w: %w", err, s.failure)
		}
		return err
	}
	if _, taken := s.containers[c.id]; taken {
		return fmt.Errorf("container %s: %w", c.id, errdefs.ErrAlreadyExists)
	}
	s.containers[c.id] = c
	return nil
}

// forget takes a container out of the pod.
func (s *Sandbox) forget(c *Container) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.containers[c.id] == c {
		delete(s.containers, c.id)
	}
}
