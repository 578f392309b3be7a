// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/node"
)

// Names of the runtimes a test can be run with, as containerd, nerdctl and Docker take them.
const (
	Kata = "io.containerd.kata.v2"
	Runc = "io.containerd.runc.v2"
)

// limit is how long a single test may take: a VM that boots in 1.5 s takes many times that on a machine that is busy.
const limit = 4 * time.Minute

// Engine is a node on which an engine is tested.
type Engine struct {
	*node.Node
	// Archive is an archive of OCI images, images.Busybox and node.PauseImage. containerd has loaded it.
	Archive string
	// Runtime is Kata, or Runc where KATAPOD_TEST_RUNTIME=runc asks for the comparison.
	Runtime string

	empty   node.Inventory
	ignored []string
}

// Cache is the directory for what takes long to make; see node.CacheDir.
func Cache(t *testing.T) string {
	t.Helper()
	cache, err := node.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return cache
}

// Require skips the test, saying why, where a node with kata's shim cannot run.
func Require(t *testing.T) {
	t.Helper()
	if why := node.Missing(output(t), "kata"); why != "" {
		t.Skip(why)
	}
}

// Unpack is node.Debian's, with the progress on standard error; it ends the test when it fails.
func Unpack(t *testing.T, d node.Debian) string {
	t.Helper()
	dir, err := d.Unpack(t.Context(), Cache(t), node.NewProgress(os.Stderr))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Start starts a node for the test and the tests below it. Of the options, Name has to be set; Out, Cache and Progress
// are the test's own. When the test ends, every pod and container of containerd is removed, and the test fails if
// anything stays behind then. An engine that runs beside containerd has to be stopped, in a t.Cleanup, before that.
func Start(t *testing.T, o node.Options) *Engine {
	t.Helper()
	Require(t)
	o.Out, o.Cache, o.Progress = output(t), Cache(t), node.NewProgress(os.Stderr)
	n, err := node.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{Node: n, Runtime: runtime(), ignored: []string{"/run/containerd/runc"}} // runc's, which stays when empty
	t.Cleanup(func() {
		if err := e.stop(t.Failed()); err != nil {
			t.Error(err)
		}
	})
	if e.Archive, err = n.LoadImages(t.Context(), filepath.Join(o.Out, "engines", o.Name)); err != nil {
		t.Fatal(err)
	}
	if e.empty, err = n.Inventory(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

// Context is the test's, with a limit that a busy machine keeps.
func Context(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// WantNothingLeft fails the test when something exists on the node that was not there before its first container.
func (e *Engine) WantNothingLeft(t *testing.T) {
	t.Helper()
	left, err := e.left()
	if err != nil {
		t.Error(err)
	}
	if len(left) > 0 {
		t.Errorf("left behind:\n%s", left)
	}
}

// Settle takes what exists on the node now for its empty state: what an engine keeps once it was used, before the
// runtime under test has run anything.
func (e *Engine) Settle(t *testing.T) {
	t.Helper()
	now, err := e.Inventory(Context(t))
	if err != nil {
		t.Fatal(err)
	}
	e.empty = now
}

// Ignore has files and directories below these paths not count as left behind: an engine leaves them itself, whatever
// the runtime is.
func (e *Engine) Ignore(paths ...string) { e.ignored = append(e.ignored, paths...) }

func (e *Engine) left() (node.Inventory, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return e.WaitEmptyBut(ctx, e.empty, func(kind, thing string) bool {
		return kind == "files" && slices.ContainsFunc(e.ignored, func(path string) bool {
			return thing == path || strings.HasPrefix(thing, path+"/")
		})
	})
}

// stop ends the node and tells what its containers left. The log is kept when something went wrong.
func (e *Engine) stop(failed bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	errs := []error{e.RemoveAll(ctx)}
	if e.empty != nil {
		left, err := e.left()
		errs = append(errs, err)
		if len(left) > 0 {
			errs = append(errs, fmt.Errorf("the tests left on the node:\n%s", left))
		}
	}
	if failed || errors.Join(errs...) != nil {
		errs = append(errs, e.KeepLogs())
	}
	return errors.Join(append(errs, e.Stop(ctx))...)
}

// runtime is the one under test.
func runtime() string {
	if os.Getenv("KATAPOD_TEST_RUNTIME") == "runc" {
		return Runc
	}
	return Kata
}

// output is the project's build output: $KATAPOD_TEST_OUT, or out/ of the checkout, which is three folders above any
// engine's tests.
func output(t *testing.T) string {
	t.Helper()
	out, err := filepath.Abs(cmp.Or(os.Getenv("KATAPOD_TEST_OUT"), "../../../out"))
	if err != nil {
		t.Fatal(err)
	}
	return out
}
