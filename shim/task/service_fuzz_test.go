// SPDX-License-Identifier: Apache-2.0

package task

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/katapod/katapod/sandbox/spec/spectest"
	"github.com/katapod/katapod/shim/shimtest"
)

// FuzzCalls makes the calls that the bytes say, in order and, where they say so,
// side by side, of containers and execs with few and odd names. Every call
// succeeds or fails with an error of a known class, none takes longer than its
// context, and after the containers were deleted and the shim was shut down
// nothing is left: no container, goroutine or file descriptor.
func FuzzCalls(f *testing.F) {
	for _, seed := range []string{
		"\x00\x00\x00\x00\x00\x00" + "\x01\x00\x00" + "\x05\x00\x01\x00\x00" + "\x01\x00\x01" + "\x02\x00\x01\x09" + "\x03\x00\x01" + "\x02\x00\x00\x09" + "\x03\x00\x00",
		"\x00\x00\x01\x00\x00\x00" + "\x01\x00\x00" + "\x00\x01\x02\x00\x00\x00" + "\x01\x01\x00" + "\x05\x01\x01\x00\x00" + "\x03\x01\x00" + "\x03\x00\x00",
		"\x80\x00\x00\x00\x11\x00" + "\x81\x00\x00" + "\x85\x00\x01\x00\x00" + "\x83\x00\x00" + "\x84\x00\x00\x00",
	} {
		f.Add([]byte(seed))
	}
	shimtest.Quiet(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		before := shimtest.Holding(t)
		b := newBench(t)
		c := &caller{bench: b, t: t, data: data, id: "c"}
		c.streams()
		for range 40 {
			if len(c.data) == 0 {
				break
			}
			c.call()
		}
		c.background.Wait()
		c.cleanUp()
		c.expectNothingLeft(before)
	})
}

// caller reads calls from bytes.
type caller struct {
	*bench
	t          *testing.T
	data       []byte
	id         string
	background sync.WaitGroup
}

func (c *caller) next() byte {
	if len(c.data) == 0 {
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return b
}

// bytes takes up to n bytes.
func (c *caller) bytes(n byte) []byte {
	out := c.data[:min(int(n), len(c.data))]
	c.data = c.data[len(out):]
	return out
}

func pick[T any](c *caller, list ...T) T { return list[int(c.next())%len(list)] }

func (c *caller) container() string {
	return pick(c, "c", "d", "pod", "", "..", "a/b", strings.Repeat("x", 300), "\x00")
}
func (c *caller) exec() string { return pick(c, "", "e", "f", "c", "..") }

// streams makes what streams are named after.
func (c *caller) streams() {
	for _, name := range []string{"in", "out", "err"} {
		if err := unix.Mkfifo(filepath.Join(c.dir, name), 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
}

// stream is a name of a stream; FIFOs and files are those of the test.
func (c *caller) stream(fifo string) string {
	return pick(c, "", filepath.Join(c.dir, fifo), "fifo://"+c.dir+"/"+fifo, "file://"+c.dir+"/log", c.dir, "/absent/fifo", "file:///absent/log",
		"binary:///absent/program?a=b", "odd://x", "%zz://", "fifo://", "\x00")
}

// any is a value of the OCI specification, or nonsense.
func (c *caller) any(name string, v any) *anypb.Any {
	switch kind := c.next(); kind % 6 {
	case 1:
		return nil
	case 2:
		return &anypb.Any{TypeUrl: "x/" + name, Value: c.bytes(c.next())}
	case 3:
		return &anypb.Any{TypeUrl: string(c.bytes(8)), Value: []byte("{}")}
	case 4:
		return &anypb.Any{TypeUrl: "x/" + name, Value: []byte("null")}
	default:
		return typed(c.t, name, v)
	}
}

// call makes one call; the highest bit of its byte says that the next one need
// not wait.
func (c *caller) call() {
	op := c.next()
	calls := []func() (string, func(context.Context) error){
		c.create, c.start, c.kill, c.delete, c.wait, c.addExec, c.pause, c.resume, c.update, c.resize, c.closeIO,
		c.state, c.pids, c.stats, c.connect, c.shutdown, c.checkpoint, c.die,
	}
	what, do := calls[int(op&0x7f)%len(calls)]()
	run := func() { shimtest.Prompt(c.t, what, do) }
	if what == "Wait" { // for something that may never happen
		run = func() { _ = shimtest.Call(c.t, what, time.Millisecond, do) }
	}
	if op&0x80 != 0 {
		c.background.Go(run)
		return
	}
	run()
}

// create writes a bundle and creates a container of it.
func (c *caller) create() (string, func(context.Context) error) {
	r := &taskapi.CreateTaskRequest{ID: c.container()}
	annotations := pick(c, nil, asSandbox("c"), asMember("c"), asMember("pod"), map[string]string{"io.kubernetes.cri.container-type": "odd"})
	r.Terminal = c.next()%4 == 1
	r.Stdin, r.Stdout = c.stream("in"), c.stream("out")
	if how := c.next(); how > 8 {
		r.Stderr = c.stream("err")
		r.Checkpoint = pick(c, "", "", "/x")
		r.Options = c.any("runtimeoptions.v1.Options", map[string]string{"config_path": "x"})
		r.Bundle = c.bundleOf(r.ID, annotations, spectest.FromBytes(c.bytes(how-8)))
	} else {
		r.Bundle = c.bundleOf(r.ID, annotations, spectest.Valid())
	}
	return "Create", func(ctx context.Context) error { _, err := c.Create(ctx, r); return err }
}

// bundleOf writes a spec. One that is nil is no JSON; ids that are no file names have
// no bundle.
func (c *caller) bundleOf(id string, annotations map[string]string, spec *specs.Spec) string {
	dir := filepath.Join(c.dir, "bundles", id)
	if id == "" || id == ".." || strings.Contains(id, "/") || os.MkdirAll(dir, 0o700) != nil {
		return dir
	}
	text := []byte("{")
	if spec != nil {
		if annotations != nil {
			spec.Annotations = annotations
		}
		var err error
		if text, err = json.Marshal(spec); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return dir
}

func (c *caller) addExec() (string, func(context.Context) error) {
	r := &taskapi.ExecProcessRequest{ID: c.container(), ExecID: c.exec(), Terminal: c.next()%4 == 1}
	if how := c.next(); how > 8 {
		r.Stdin, r.Stdout, r.Stderr = c.stream("in"), c.stream("out"), c.stream("err")
		r.Spec = c.any("Process", spectest.Value[specs.Process](c.bytes(how-8)))
	} else {
		r.Spec = typed(c.t, "Process", specs.Process{Args: []string{"true"}})
	}
	return "Exec", func(ctx context.Context) error { _, err := c.Exec(ctx, r); return err }
}

func (c *caller) start() (string, func(context.Context) error) {
	r := &taskapi.StartRequest{ID: c.container(), ExecID: c.exec()}
	return "Start", func(ctx context.Context) error { _, err := c.Start(ctx, r); return err }
}

func (c *caller) kill() (string, func(context.Context) error) {
	r := &taskapi.KillRequest{ID: c.container(), ExecID: c.exec(), Signal: uint32(pick(c, 9, 15, 0, 65, -1)), All: c.next()%2 == 1}
	return "Kill", func(ctx context.Context) error { _, err := c.Kill(ctx, r); return err }
}

func (c *caller) delete() (string, func(context.Context) error) {
	r := &taskapi.DeleteRequest{ID: c.container(), ExecID: c.exec()}
	return "Delete", func(ctx context.Context) error { _, err := c.Delete(ctx, r); return err }
}

func (c *caller) wait() (string, func(context.Context) error) {
	r := &taskapi.WaitRequest{ID: c.container(), ExecID: c.exec()}
	return "Wait", func(ctx context.Context) error { _, err := c.Wait(ctx, r); return err }
}

func (c *caller) pause() (string, func(context.Context) error) {
	r := &taskapi.PauseRequest{ID: c.container()}
	return "Pause", func(ctx context.Context) error { _, err := c.Pause(ctx, r); return err }
}

func (c *caller) resume() (string, func(context.Context) error) {
	r := &taskapi.ResumeRequest{ID: c.container()}
	return "Resume", func(ctx context.Context) error { _, err := c.Resume(ctx, r); return err }
}

func (c *caller) update() (string, func(context.Context) error) {
	r := &taskapi.UpdateTaskRequest{ID: c.container()}
	r.Resources = c.any("LinuxResources", spectest.Value[specs.LinuxResources](c.bytes(c.next()%32)))
	return "Update", func(ctx context.Context) error { _, err := c.Update(ctx, r); return err }
}

func (c *caller) resize() (string, func(context.Context) error) {
	r := &taskapi.ResizePtyRequest{ID: c.container(), ExecID: c.exec(), Width: uint32(c.next()) << 24, Height: uint32(c.next())}
	return "ResizePty", func(ctx context.Context) error { _, err := c.ResizePty(ctx, r); return err }
}

func (c *caller) closeIO() (string, func(context.Context) error) {
	r := &taskapi.CloseIORequest{ID: c.container(), ExecID: c.exec(), Stdin: c.next()%2 == 0}
	return "CloseIO", func(ctx context.Context) error { _, err := c.CloseIO(ctx, r); return err }
}

func (c *caller) state() (string, func(context.Context) error) {
	r := &taskapi.StateRequest{ID: c.container(), ExecID: c.exec()}
	return "State", func(ctx context.Context) error { _, err := c.State(ctx, r); return err }
}

func (c *caller) pids() (string, func(context.Context) error) {
	r := &taskapi.PidsRequest{ID: c.container()}
	return "Pids", func(ctx context.Context) error { _, err := c.Pids(ctx, r); return err }
}

func (c *caller) stats() (string, func(context.Context) error) {
	r := &taskapi.StatsRequest{ID: c.container()}
	return "Stats", func(ctx context.Context) error { _, err := c.Stats(ctx, r); return err }
}

func (c *caller) connect() (string, func(context.Context) error) {
	r := &taskapi.ConnectRequest{ID: c.container()}
	return "Connect", func(ctx context.Context) error { _, err := c.Connect(ctx, r); return err }
}

func (c *caller) shutdown() (string, func(context.Context) error) {
	r := &taskapi.ShutdownRequest{ID: c.container(), Now: c.next()%2 == 1}
	return "Shutdown", func(ctx context.Context) error { _, err := c.Shutdown(ctx, r); return err }
}

func (c *caller) checkpoint() (string, func(context.Context) error) {
	r := &taskapi.CheckpointTaskRequest{ID: c.container(), Path: "/x", Options: c.any("Options", nil)}
	return "Checkpoint", func(ctx context.Context) error { _, err := c.Checkpoint(ctx, r); return err }
}

// die is what happens to a VM, and a start that fails, by the next byte.
func (c *caller) die() (string, func(context.Context) error) {
	fails := c.next()%2 == 1
	return "a fault", func(ctx context.Context) error {
		vm := c.vm()
		if vm == nil {
			return nil
		}
		if !fails {
			return vm.Stop(ctx)
		}
		vm.mu.Lock()
		defer vm.mu.Unlock()
		for _, each := range vm.containers {
			each.init.fail()
		}
		return nil
	}
}

// cleanUp deletes what is left, as an engine does: members first.
func (c *caller) cleanUp() {
	for _, id := range []string{"d", "pod", "", "..", "a/b", "\x00", strings.Repeat("x", 300), "c", "d", "pod"} {
		if _, err := c.Service.container(id); err != nil {
			continue
		}
		shimtest.Prompt(c.t, "the last Kill of "+id, func(ctx context.Context) error {
			_, err := c.Kill(ctx, &taskapi.KillRequest{ID: id, Signal: 9, All: true})
			return err
		})
		shimtest.Prompt(c.t, "the last Wait for "+id, func(ctx context.Context) error {
			_, err := c.Wait(ctx, &taskapi.WaitRequest{ID: id})
			return err
		})
		shimtest.Prompt(c.t, "the last Delete of "+id, func(ctx context.Context) error {
			_, err := c.Delete(ctx, &taskapi.DeleteRequest{ID: id})
			return err
		})
	}
	shimtest.Prompt(c.t, "the last Shutdown", func(ctx context.Context) error {
		_, err := c.Shutdown(ctx, &taskapi.ShutdownRequest{})
		return err
	})
}

func (c *caller) expectNothingLeft(before shimtest.Held) {
	select {
	case <-c.bench.shutdown:
	default:
		c.t.Errorf("the shim stays; containers %v, reserved %v", c.containers, c.reserved)
	}
	if vm := c.vm(); vm != nil && vm.startErr == nil && !vm.over() {
		c.t.Error("the VM stays")
	}
	before.Await(c.t)
}
