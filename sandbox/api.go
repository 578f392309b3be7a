// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"io"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/hostcgroup"
	"github.com/katapod/katapod/sandbox/sizing"
	"github.com/katapod/katapod/sandbox/storage"
)

// API skeleton: signatures are final, bodies follow file by file.

// Options describe the pod to make; values only.
type Options struct {
	// ID names the pod; Namespace is containerd's; Bundle is the OCI bundle of
	// the container that stands for the pod, or of the lone container.
	ID, Namespace, Bundle string
	// Config has the pod's annotations applied already.
	Config config.Config
	// NetNS is the path of the pod's network namespace; empty makes a private one.
	NetNS string
	// Hostname of the guest; DNS are the lines of its resolv.conf.
	Hostname string
	DNS      []string
	// SharedPIDNS makes the pod's containers share a PID namespace.
	SharedPIDNS bool
	// ShmSize is the size of the pod's /dev/shm in bytes; 0 means 64 MiB.
	ShmSize uint64
	// Sysctls of the pod.
	Sysctls map[string]string
	// CgroupPath is the pod's cgroup on the host, from the OCI spec; empty
	// means no cgroup of the pod's own.
	CgroupPath string
	// Resources is what the pod asks for.
	Resources sizing.Request
}

// Drivers are the seams to the host.
type Drivers struct {
	NewVM func(hypervisor.Config) (hypervisor.VM, error)
}

// DefaultDrivers picks the real ones.
func DefaultDrivers(c config.Config) (Drivers, error) { return Drivers{}, errdefs.ErrNotImplemented }

type State string

const (
	StateCreated  State = "created"
	StateStarting State = "starting"
	StateRunning  State = "running"
	StateStopping State = "stopping"
	StateStopped  State = "stopped"
)

// Step is one named step of the start and how long it took.
type Step struct {
	Name            string
	Start, Duration time.Duration // Start counts from the begin of Sandbox.Start
}

// Code names a kind of failure.
type Code string

// Failure is why a pod did not start, or died.
type Failure struct {
	Step            string
	Code            Code
	Cause           error
	Remedy          string
	Console, VMMLog string
}

func (f *Failure) Error() string { return "" }
func (f *Failure) Unwrap() error { return f.Cause }

type Sandbox struct{}

func New(o Options, d Drivers) (*Sandbox, error)   { return nil, errdefs.ErrNotImplemented }
func (s *Sandbox) Start(ctx context.Context) error { return errdefs.ErrNotImplemented }
func (s *Sandbox) Stop(ctx context.Context) error  { return errdefs.ErrNotImplemented }
func (s *Sandbox) Done() <-chan struct{}           { return nil }
func (s *Sandbox) Failure() *Failure               { return nil }
func (s *Sandbox) ID() string                      { return "" }
func (s *Sandbox) PID() int                        { return 0 }
func (s *Sandbox) State() State                    { return "" }
func (s *Sandbox) StartedAt() time.Time            { return time.Time{} }
func (s *Sandbox) EndedAt() time.Time              { return time.Time{} }
func (s *Sandbox) Timeline() []Step                { return nil }
func (s *Sandbox) Info() map[string]string         { return nil }
func (s *Sandbox) OOMEvents() <-chan string        { return nil }
func (s *Sandbox) Containers() []*Container        { return nil }
func (s *Sandbox) Options() Options                { return Options{} }
func (s *Sandbox) Stats(ctx context.Context) (hostcgroup.Stats, error) {
	return hostcgroup.Stats{}, errdefs.ErrNotImplemented
}

// CreateContainer makes a container; its init waits for Container.Start.
func (s *Sandbox) CreateContainer(ctx context.Context, o ContainerOptions) (*Container, error) {
	return nil, errdefs.ErrNotImplemented
}

// CreatePause makes the container that stands for the pod; it has nothing in the guest.
func (s *Sandbox) CreatePause(id, bundle string) (*Container, error) {
	return nil, errdefs.ErrNotImplemented
}
func (s *Sandbox) Container(id string) (*Container, error) { return nil, errdefs.ErrNotFound }

// Cleanup releases what a dead shim left, from the ledger alone.
func Cleanup(ctx context.Context, stateDir string) error { return errdefs.ErrNotImplemented }

type ContainerOptions struct {
	ID, Bundle            string
	Spec                  *specs.Spec
	Rootfs                []storage.Mount
	Terminal              bool
	Stdin, Stdout, Stderr bool
}
type ExecOptions struct {
	ID                    string
	Process               *specs.Process
	Terminal              bool
	Stdin, Stdout, Stderr bool
}

// Status of a container or process.
type Status string

const (
	StatusCreated Status = "created"
	StatusRunning Status = "running"
	StatusPaused  Status = "paused"
	StatusStopped Status = "stopped"
)

type Container struct{}

func (c *Container) ID() string                              { return "" }
func (c *Container) Bundle() string                          { return "" }
func (c *Container) Init() *Process                          { return nil }
func (c *Container) IsPause() bool                           { return false }
func (c *Container) Process(execID string) (*Process, error) { return nil, errdefs.ErrNotFound } // "" is init
func (c *Container) Processes() []*Process                   { return nil }
func (c *Container) Status() Status                          { return "" }
func (c *Container) Start(ctx context.Context) error         { return errdefs.ErrNotImplemented }
func (c *Container) Exec(ctx context.Context, o ExecOptions) (*Process, error) {
	return nil, errdefs.ErrNotImplemented
} // made, not started
func (c *Container) Kill(ctx context.Context, execID string, sig uint32, all bool) error {
	return errdefs.ErrNotImplemented
}
func (c *Container) Pause(ctx context.Context) error  { return errdefs.ErrNotImplemented }
func (c *Container) Resume(ctx context.Context) error { return errdefs.ErrNotImplemented }
func (c *Container) Update(ctx context.Context, r *specs.LinuxResources) error {
	return errdefs.ErrNotImplemented
}
func (c *Container) Stats(ctx context.Context) (*agentpb.StatsContainerResponse, error) {
	return nil, errdefs.ErrNotImplemented
}
func (c *Container) Pids(ctx context.Context) ([]int, error) { return nil, errdefs.ErrNotImplemented } // host pids: the VMM's, while init runs
func (c *Container) Delete(ctx context.Context) error        { return errdefs.ErrNotImplemented }      // init stopped or never started
func (c *Container) DeleteExec(execID string) error          { return errdefs.ErrNotImplemented }
func (c *Container) CloseIO(ctx context.Context, execID string) error {
	return errdefs.ErrNotImplemented
}

type Process struct{}

func (p *Process) ID() string                      { return "" } // "" for init
func (p *Process) Terminal() bool                  { return false }
func (p *Process) Status() Status                  { return "" }
func (p *Process) Start(ctx context.Context) error { return errdefs.ErrNotImplemented } // of init: the same as Container.Start
// Streams: nil when not asked for. Init's exist after CreateContainer, those of an exec after Start.
func (p *Process) Stdin() io.WriteCloser { return nil } // Close is the end of the process's input
func (p *Process) Stdout() io.ReadCloser { return nil } // also the terminal's output
func (p *Process) Stderr() io.ReadCloser { return nil } // nil with a terminal
func (p *Process) Resize(ctx context.Context, width, height uint32) error {
	return errdefs.ErrNotImplemented
}
func (p *Process) Done() <-chan struct{}                { return nil } // the process ended; output may still be on its way
func (p *Process) ExitStatus() (code int, at time.Time) { return 0, time.Time{} }
