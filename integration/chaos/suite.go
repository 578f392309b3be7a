// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/katapod/katapod/integration/node"
	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/template"
)

// suite is the node of all cycles, and what goes on beside them.
type suite struct {
	node      *node.Node
	conn      *grpc.ClientConn
	runtime   cri.RuntimeServiceClient
	events    *eventLog
	stalls    *stalls
	log       *logTail
	bystander *bystander
	reports   string // where the shims keep those of pods that failed
	nothing   node.Inventory
	owed      map[string]bool // sockets that the next pod takes away when it ends
	engine    sync.Mutex      // held while containerd is away
}

// newSuite starts everything. What it began ends when it fails.
func newSuite(ctx context.Context, s settings) (_ *suite, err error) {
	options, err := s.options()
	if err != nil {
		return nil, err
	}
	n, err := node.Start(ctx, options)
	if err != nil {
		return nil, err
	}
	it := &suite{node: n, stalls: watchStalls(), owed: map[string]bool{}}
	if err := it.prepare(ctx, s.out); err != nil {
		return nil, errors.Join(err, it.close(true))
	}
	return it, nil
}

func (s *suite) prepare(ctx context.Context, out string) error {
	err := s.mountSmall(ctx)
	if err == nil {
		_, err = s.node.LoadImages(ctx, filepath.Join(out, "node"))
	}
	if err == nil {
		s.conn, err = grpc.NewClient("unix://"+s.node.Socket(), grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	}
	if err != nil {
		return err
	}
	s.runtime = cri.NewRuntimeServiceClient(s.conn)
	s.reports = config.Runtime{StateDir: s.node.Inside(s.node.StateDir())}.FailuresDir()
	s.events = followEvents(s.conn)
	if s.log, err = followLog(s.node.Log()); err != nil {
		return err
	}
	if err := s.warmUp(ctx); err != nil {
		return err
	}
	if s.bystander, err = s.startBystander(ctx); err != nil {
		return err
	}
	s.nothing, err = s.node.Inventory(ctx)
	return err
}

// sandboxes is where each sandbox has its state directory.
func (s *suite) sandboxes() string { return s.node.Inside(filepath.Join(s.node.StateDir(), "sbs")) }

// warmUp makes a pod of each kind once: what containerd keeps of an image, and the templates of VMs, are there before
// the node is looked at.
func (s *suite) warmUp(ctx context.Context) error {
	for _, handler := range []string{"kata", node.SandboxAPIHandler, "kata-erofs", node.ColdHandler, loneHandler} {
		c := newCycle(s, plan{cycle: -1, fault: fault{name: "none", effect: passes}, point: "none", handler: handler})
		if err := c.undisturbed(ctx); err != nil {
			return fmt.Errorf("a pod of %s that nobody disturbs: %w", handler, err)
		}
	}
	return s.awaitTemplates(ctx)
}

// awaitTemplates waits until no template is being made.
func (s *suite) awaitTemplates(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	left := s.node.WaitGone(ctx, func(p node.Process) bool { return len(p.Args) == 2 && p.Args[1] == template.Command })
	if len(left) > 0 {
		return fmt.Errorf("templates are still being made: %v", left)
	}
	return nil
}

// awaitEngine returns when containerd is there.
func (s *suite) awaitEngine() {
	s.engine.Lock()
	defer s.engine.Unlock()
}

// close ends the node. The log is kept when something went wrong.
func (s *suite) close(keep bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var errs []error
	s.stalls.stop()
	if s.log != nil {
		s.log.stop()
	}
	if s.events != nil {
		s.events.stop()
	}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	if keep {
		errs = append(errs, s.node.KeepLogs())
	}
	return errors.Join(append(errs, s.node.Stop(ctx))...)
}

// keepLog writes what the log says of a cycle to the build output.
func (s *suite) keepLog(cycle int, text string) error {
	path := filepath.Join(s.node.Out, fmt.Sprintf("chaos-%d.log", cycle))
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("keep the log of cycle %d: %w", cycle, err)
	}
	return nil
}
