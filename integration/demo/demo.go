// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/node"
)

// demo is the state of the show: the node and what runs on it.
type demo struct {
	*node.Node
	ctx      context.Context
	progress *node.Progress
	handler  string
	empty    node.Inventory // the node before the first container

	first, second  podOnNode
	one, two, term string // containers of the first pod
	client         string // container of the second
}

// podOnNode is a running pod.
type podOnNode struct {
	node.Pod
	id        string
	addresses []string
	took      time.Duration // of RunPodSandbox
}

// check runs one step of the show and prints the facts it found below it.
func (d *demo) check(name string, work func() ([]string, error)) error {
	var facts []string
	err := d.progress.Step(name, func() error {
		var err error
		facts, err = work()
		return err
	})
	for _, fact := range facts {
		d.progress.Fact("%s", fact)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// runPod starts a pod and learns its addresses.
func (d *demo) runPod(spec node.Pod) (podOnNode, error) {
	begin := time.Now()
	id, err := d.RunPod(d.ctx, spec)
	if err != nil {
		return podOnNode{}, err
	}
	p := podOnNode{Pod: spec, id: id, took: time.Since(begin)}
	p.addresses, err = d.PodAddresses(d.ctx, id)
	return p, err
}

// start starts a container of busybox in the pod and waits until its log holds the text, when there is one.
func (d *demo) start(p podOnNode, c node.Container, until string) (string, error) {
	c.Image = images.Busybox
	id, err := d.StartContainer(d.ctx, p.id, p.Pod, c)
	if err != nil || until == "" {
		return id, err
	}
	path := filepath.Join(d.PodLogs(), p.Name, c.Name+".log")
	ctx, cancel := context.WithTimeout(d.ctx, 20*time.Second)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		log, _ := os.ReadFile(path) // it may not exist yet
		if strings.Contains(string(log), until) {
			return id, nil
		}
		select {
		case <-ctx.Done():
			return id, fmt.Errorf("the container %s did not say %q: %w; its log: %s", c.Name, until, ctx.Err(), log)
		case <-time.After(wait):
		}
	}
}

// exec runs a command in a container and returns what it printed.
func (d *demo) exec(container string, args ...string) (string, error) {
	out, err := d.Crictl(d.ctx, append([]string{"exec", container}, args...)...)
	return strings.TrimSpace(out), err
}

// expect is exec with the answer that has to come, which is the fact to print.
func (d *demo) expect(container, want string, args ...string) ([]string, error) {
	got, err := d.exec(container, args...)
	switch {
	case err != nil:
		return nil, err
	case got != want:
		return nil, fmt.Errorf("%s in the container printed %q and should have printed %q", strings.Join(args, " "), got, want)
	case got == "":
		return nil, nil
	}
	return []string{fmt.Sprintf("%s → %s", strings.Join(args, " "), got)}, nil
}
