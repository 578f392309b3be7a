// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/sandbox/spec/spectest"
	"github.com/katapod/katapod/sandbox/storage"
)

// FuzzContainers does to a pod's containers what the bytes say, in order and,
// where they say so, side by side; specs come from the bytes as well, and so do
// failures of the host and of the agent. Every call succeeds or fails with an
// error of a known class, in bounded time. Every process has ended when its
// container was deleted; and when the pod was stopped, nothing is left: no entry
// of the ledger, no mount, disk, file or goroutine.
func FuzzContainers(f *testing.F) {
	for _, seed := range []string{
		"\x00\x00\x00" + "\x01\x00\x00" + "\x02\x00\x01" + "\x01\x00\x01" + "\x03\x00\x01\x09" + "\x04\x00\x01" + "\x03\x00\x00\x09" + "\x04\x00\x00",
		"\x00\x00\x00" + "\x01\x00\x00" + "\x02\x00\x01" + "\x03\x00\x00\x09" + "\x04\x00\x00",
		"\x00\x00\x20\x08\x01\x01\x05\x00\x00\x00\x00" + "\x01\x00\x00" + "\x08\x00" + "\x0a\x00",
		"\x80\x00\x00" + "\x80\x01\x00" + "\x81\x00\x00" + "\x84\x00\x00" + "\x8a\x00",
	} {
		f.Add([]byte(seed))
	}
	if err := log.SetLevel("fatal"); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = log.SetLevel("info") })
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &fuzzer{fixture: startedFixture(t), data: data, files: hostFiles(t)}
		for range 30 {
			if len(c.data) == 0 {
				break
			}
			c.call()
		}
		c.background.Wait()
		for _, each := range c.pod.Containers() {
			c.deleteAnyhow(each)
		}
		c.expectEveryEnd()
	})
}

// hostFiles makes what spectest's paths of the host stand for.
func hostFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "d"), 0o700), os.WriteFile(filepath.Join(dir, "f"), []byte("hosts"), 0o600)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// fuzzer reads calls from bytes.
type fuzzer struct {
	*fixture
	data       []byte
	files      string
	background sync.WaitGroup

	mu        sync.Mutex
	processes []*Process // of containers that were made
}

func (c *fuzzer) next() byte {
	if len(c.data) == 0 {
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return b
}

func (c *fuzzer) bytes(n byte) []byte {
	out := c.data[:min(int(n), len(c.data))]
	c.data = c.data[len(out):]
	return out
}

func (c *fuzzer) id() string {
	ids := [...]string{"c", "d", "", "..", "a/b", "\x00", bindsDir, "pod1", strings.Repeat("x", 201)}
	return ids[int(c.next())%len(ids)]
}

func (c *fuzzer) exec() string { return [...]string{"", "e", "f", "c", "../x"}[c.next()%5] }

// call makes one call; the highest bit of its byte says that the next one need
// not wait.
func (c *fuzzer) call() {
	op := c.next()
	calls := [...]func() (string, func(context.Context) error){
		c.create, c.start, c.addExec, c.kill, c.delete, c.pause, c.resume, c.update, c.stats, c.resize, c.disaster,
	}
	what, do := calls[int(op&0x7f)%len(calls)]()
	if op&0x80 != 0 {
		c.background.Go(func() { c.bounded(what, do) })
		return
	}
	c.bounded(what, do)
}

// bounded is shorter than the 10 s after which a fuzz worker ends without a word.
func (c *fuzzer) bounded(what string, do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	err := do(ctx)
	if err != nil && errors.Is(errdefs.Resolve(err), errdefs.ErrUnknown) {
		c.t.Errorf("%s: an error without a class: %v", what, err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		c.t.Errorf("%s hung until its context ended: %v", what, err)
	}
}

// on does something with a container, if it is there.
func (c *fuzzer) on(id string, do func(*Container) error) error {
	i := slices.IndexFunc(c.pod.Containers(), func(each *Container) bool { return each.ID() == id })
	if i < 0 {
		return nil
	}
	return do(c.pod.Containers()[i])
}

func (c *fuzzer) create() (string, func(context.Context) error) {
	o := containerOptions(c.id(), "sleep")
	if how := c.next(); how > 0 {
		o.Spec = c.tame(spectest.FromBytes(c.bytes(how)))
		o.Terminal, o.Stderr = how%4 == 1, how%4 == 2
		o.Rootfs = c.rootfs()
	}
	return "CreateContainer", func(ctx context.Context) error {
		made, err := c.pod.CreateContainer(ctx, o)
		if err == nil {
			c.keep(made.Init())
		}
		return err
	}
}

// tame keeps a spec from running programs of this machine or reading its files.
func (c *fuzzer) tame(s *specs.Spec) *specs.Spec {
	if s == nil {
		return nil
	}
	s.Hooks = nil
	for i := range s.Mounts {
		if s.Mounts[i].Source != "" {
			s.Mounts[i].Source = c.files + strings.TrimPrefix(s.Mounts[i].Source, spectest.Host)
		}
	}
	if s.Process != nil {
		s.Process.Args = []string{"sleep"}
	}
	return s
}

func (c *fuzzer) rootfs() []storage.Mount {
	disk := func(kind, name string, options ...string) storage.Mount {
		return storage.Mount{Type: kind, Source: filepath.Join(c.files, name), Options: options}
	}
	switch c.next() % 6 {
	case 1:
		return []storage.Mount{disk("erofs", "f", "ro"), {Type: "format/overlay", Options: []string{"lowerdir={{ mount 0 }}", "upperdir=/u", "workdir=/w"}}}
	case 2:
		return []storage.Mount{disk("erofs", "f"), disk("ext4", "f"),
			{Type: "format/mkdir/overlay", Options: []string{"lowerdir={{ mount 0 }}", "upperdir={{ mount 1 }}/u", "workdir={{ mount 1 }}/w"}}}
	case 3:
		return []storage.Mount{disk("odd", "f")}
	case 4:
		return []storage.Mount{disk("ext4", "absent")}
	default:
		return []storage.Mount{disk("bind", "d", "rbind")}
	}
}

func (c *fuzzer) keep(p *Process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.processes = append(c.processes, p)
}

func (c *fuzzer) addExec() (string, func(context.Context) error) {
	id, o := c.id(), ExecOptions{ID: c.exec(), Process: &specs.Process{Args: []string{"sleep"}, Cwd: "/"}, Stdin: true, Stdout: true}
	if how := c.next(); how > 8 {
		p := spectest.Value[specs.Process](c.bytes(how))
		p.Args = []string{"exit", "3"}
		o.Process = &p
	}
	return "Exec", func(ctx context.Context) error {
		return c.on(id, func(on *Container) error {
			p, err := on.Exec(ctx, o)
			if err == nil {
				c.keep(p)
			}
			return err
		})
	}
}

func (c *fuzzer) start() (string, func(context.Context) error) {
	id, exec := c.id(), c.exec()
	return "Start", func(ctx context.Context) error {
		return c.on(id, func(on *Container) error {
			p, err := on.Process(exec)
			if err != nil {
				return err
			}
			return p.Start(ctx)
		})
	}
}

func (c *fuzzer) kill() (string, func(context.Context) error) {
	id, exec, signal := c.id(), c.exec(), [...]uint32{9, 15, 0, 65, 1 << 31}[c.next()%5]
	return "Kill", func(ctx context.Context) error {
		return c.on(id, func(on *Container) error { return on.Kill(ctx, exec, signal, signal == 9) })
	}
}

func (c *fuzzer) delete() (string, func(context.Context) error) {
	id, exec := c.id(), c.exec()
	return "Delete", func(ctx context.Context) error {
		return c.on(id, func(on *Container) error {
			if exec != "" {
				return on.DeleteExec(exec)
			}
			return on.Delete(ctx)
		})
	}
}

func (c *fuzzer) pause() (string, func(context.Context) error) {
	id := c.id()
	return "Pause", func(ctx context.Context) error { return c.on(id, func(on *Container) error { return on.Pause(ctx) }) }
}

func (c *fuzzer) resume() (string, func(context.Context) error) {
	id := c.id()
	return "Resume", func(ctx context.Context) error { return c.on(id, func(on *Container) error { return on.Resume(ctx) }) }
}

func (c *fuzzer) update() (string, func(context.Context) error) {
	id, r := c.id(), spectest.Value[specs.LinuxResources](c.bytes(c.next()%32))
	return "Update", func(ctx context.Context) error {
		return c.on(id, func(on *Container) error { return on.Update(ctx, &r) })
	}
}

func (c *fuzzer) stats() (string, func(context.Context) error) {
	id := c.id()
	return "Stats", func(ctx context.Context) error {
		return c.on(id, func(on *Container) error {
			_, err := on.Stats(ctx)
			return err
		})
	}
}

func (c *fuzzer) resize() (string, func(context.Context) error) {
	id, width := c.id(), uint32(c.next())<<24
	return "Resize", func(ctx context.Context) error {
		return c.on(id, func(on *Container) error { return on.Init().Resize(ctx, width, 0) })
	}
}

// disaster is a failure of the agent, of the host, or of the VM.
func (c *fuzzer) disaster() (string, func(context.Context) error) {
	kind := c.next()
	return "a disaster", func(context.Context) error {
		calls := [...]string{"CreateContainer", "StartContainer", "ExecProcess", "RemoveContainer", "CopyFile", "SignalProcess"}
		switch {
		case kind < 40:
			c.agent.failAt(calls[int(kind)%len(calls)], errdefs.ErrInternal)
		case kind < 80:
			c.agent.failAt(calls[int(kind)%len(calls)], nil)
		case kind < 120:
			c.host.mu.Lock()
			defer c.host.mu.Unlock()
			c.host.fail["mount"] = errdefs.ErrUnavailable
		case kind < 160:
			c.host.mu.Lock()
			defer c.host.mu.Unlock()
			clear(c.host.fail)
		case kind < 180:
			c.vm.die("the fuzzer says so")
		case kind < 200:
			c.vm.cutAgent()
		}
		return nil
	}
}

// deleteAnyhow kills and deletes, over an agent that works again.
func (c *fuzzer) deleteAnyhow(each *Container) {
	for _, name := range []string{"RemoveContainer", "SignalProcess"} {
		c.agent.failAt(name, nil)
	}
	c.bounded("the last Delete", func(ctx context.Context) error {
		if err := each.Kill(ctx, "", 9, true); err == nil && each.Status() != StatusCreated {
			await(c.t, each.Init().Done(), "the end of "+each.ID())
		}
		return each.Delete(ctx)
	})
}

// expectEveryEnd looks at processes of containers that were deleted.
func (c *fuzzer) expectEveryEnd() {
	for _, p := range c.processes {
		await(c.t, p.Done(), "the end of "+p.String())
	}
}
