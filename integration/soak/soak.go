// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/kubelet"
	"github.com/katapod/katapod/integration/node"
)

const (
	// fewest pods give a line something to be fitted to.
	fewest = 8
	// samplings is about how often everything is counted while pods come one after another: a sample costs a third
	// of a pod.
	samplings = 50
	// warmingUp pods do not count: the first has the VM's template made, and page caches, connection pools and heaps
	// fill.
	warmingUp = 4
	// podLimit bounds the life of one pod, and burstLimit that of all that come at once.
	podLimit, burstLimit = time.Minute, 5 * time.Minute
)

// soak is a run.
type soak struct {
	*kubelet.Client
	options
	node     *node.Node
	progress *node.Progress
	// stays is the pod that stays, shim the process of its shim.
	stays kubelet.Pod
	shim  int
	// empty is what the node has with that pod alone.
	empty node.Inventory

	// done counts the pods that came and went.
	done int
	// series are samples while pods come one after another, and peaks those after each burst.
	series, peaks samples
}

// waiting is the container of every pod.
func waiting() kubelet.Workload {
	return kubelet.Workload{Image: images.Busybox, Args: []string{"probe", "pause"}}
}

// all runs everything. The pod that stays is removed at the end, whatever happened.
func (s *soak) all(ctx context.Context) (err error) {
	s.series, s.peaks = samples{}, samples{}
	if err := s.progress.Step("warm up", func() error { return s.warmUp(ctx) }); err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), podLimit)
		defer cancel()
		err = errors.Join(err, s.Remove(ctx, s.stays))
	}()
	name := fmt.Sprintf("%d pods one after another", s.pods)
	if err := s.progress.Step(name, func() error { return s.oneAfterAnother(ctx) }); err != nil {
		return err
	}
	name = fmt.Sprintf("%d × %d pods at once", s.bursts, s.atOnce)
	return s.progress.Step(name, func() error { return s.manyAtOnce(ctx) })
}

// warmUp starts the pod that stays, after some that did not, and counts what there is.
func (s *soak) warmUp(ctx context.Context) error {
	for range warmingUp {
		if err := s.onePod(ctx, "soak"); err != nil {
			return err
		}
	}
	var err error
	if s.stays, err = s.Start(ctx, s.handler, "stays", waiting()); err != nil {
		return err
	}
	if s.shim, err = s.findShim(); err != nil {
		return err
	}
	if err := s.inTheStaying(ctx); err != nil {
		return err
	}
	s.empty, err = s.node.Inventory(ctx)
	return err
}

func (s *soak) oneAfterAnother(ctx context.Context) error {
	every := max(1, s.pods/samplings)
	for i := range s.pods {
		if err := s.cycle(ctx); err != nil {
			return fmt.Errorf("pod %d: %w", i+1, err)
		}
		s.done++
		if s.done%every != 0 {
			continue
		}
		now, err := s.sample(ctx)
		if err != nil {
			return err
		}
		s.series.add(s.done, now)
	}
	return nil
}

// cycle has a pod come and go, and a container and an exec in the pod that stays.
func (s *soak) cycle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, podLimit)
	defer cancel()
	return errors.Join(s.onePod(ctx, "soak"), s.inTheStaying(ctx))
}

func (s *soak) onePod(ctx context.Context, name string) error {
	p, err := s.Start(ctx, s.handler, name, waiting())
	if err != nil {
		return err
	}
	return s.Remove(ctx, p)
}

// inTheStaying runs a container to its end, and an exec.
func (s *soak) inTheStaying(ctx context.Context) error {
	id, err := s.StartContainer(ctx, s.stays, "short", kubelet.Workload{Image: images.Busybox, Args: []string{"echo", "here"}})
	if err != nil {
		return err
	}
	code, err := s.AwaitExit(ctx, id)
	if err == nil && code != 0 {
		err = fmt.Errorf("a container of the pod that stays ended with exit code %d", code)
	}
	if err := errors.Join(err, s.RemoveContainer(ctx, id)); err != nil {
		return err
	}
	_, err = s.Exec(ctx, s.stays, "true")
	return err
}

// manyAtOnce counts after each burst, so that the first is the warm-up of the others.
func (s *soak) manyAtOnce(ctx context.Context) error {
	for range s.bursts {
		if err := s.burst(ctx); err != nil {
			return err
		}
		s.done += s.atOnce
		now, err := s.sample(ctx)
		if err != nil {
			return err
		}
		s.peaks.add(s.done, now)
	}
	return nil
}

func (s *soak) burst(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, burstLimit)
	defer cancel()
	var group errgroup.Group
	pods := make([]kubelet.Pod, s.atOnce)
	for i := range pods {
		group.Go(func() (err error) {
			pods[i], err = s.Start(ctx, s.handler, fmt.Sprintf("burst-%d", i), waiting())
			return err
		})
	}
	errs := []error{group.Wait()}
	for _, p := range pods {
		if p.ID != "" {
			group.Go(func() error { return s.Remove(ctx, p) })
		}
	}
	return errors.Join(append(errs, group.Wait())...)
}
