// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
)

//go:embed packages
var packagesScript string

// Options say which node to start.
type Options struct {
	Name     string    // of the node: its root is /tmp/<Name>, and only one node of a name runs at a time
	Out      string    // the project's build output, with bin/ and guest/
	Cache    string    // see CacheDir
	Progress *Progress // may be nil

	// Programs is a directory of programs that go before the node's own: another containerd and its ctr, or those of a
	// further engine. Empty means none.
	Programs string
	// Config is the template of another containerd's configuration, for text/template: it can use what that of
	// containerd 2.4 in this package uses. Empty means that one.
	Config string
	// MoreConfig is added to the end of the configuration.
	MoreConfig string
	// LogLevel is how much containerd and the shims write to the log; empty is "info".
	LogLevel string
}

// CacheDir is $KATAPOD_CACHE, or ~/.cache/katapod.
func CacheDir() (string, error) {
	if dir := os.Getenv("KATAPOD_CACHE"); dir != "" {
		return dir, nil
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a place for the cache (set KATAPOD_CACHE): %w", err)
	}
	return filepath.Join(base, "katapod"), nil
}

// Node is a running private node. Stop has to be called.
type Node struct {
	Layout
	progress   *Progress
	lock       net.Listener
	keeper     *keeper
	containerd *containerd
}

// Start builds what is missing and starts a node. When it fails, nothing of the node stays behind.
func Start(ctx context.Context, o Options) (*Node, error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("a node needs root: for namespaces, mounts and cgroups: %w", errdefs.ErrPermissionDenied)
	}
	layout, err := newLayout("/tmp/"+o.Name, "", o.Out)
	if err != nil {
		return nil, err
	}
	lock, err := lockRoot(layout.Root)
	if err != nil {
		return nil, err
	}
	layout.Over, layout.LogLevel = o.Programs, o.LogLevel
	n := &Node{Layout: layout, progress: o.Progress, lock: lock}
	if err := n.start(ctx, o.Cache, cmp.Or(o.Config, containerdTemplate)+o.MoreConfig); err != nil {
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
		defer cancel()
		return nil, errors.Join(err, n.Stop(cleaning))
	}
	return n, nil
}

func (n *Node) start(ctx context.Context, cache, config string) error {
	if err := n.sweep(); err != nil {
		return err
	}
	if _, err := (Runner{}).Run(ctx, "sh", "-c", packagesScript); err != nil {
		return fmt.Errorf("install the Debian packages a node needs: %w", err)
	}
	bin, err := Binaries(ctx, cache, n.progress)
	if err != nil {
		return err
	}
	n.Bin = bin
	return n.progress.Step("start a private containerd", func() error {
		if err := writeConfig(ctx, n.Layout, config); err != nil {
			return err
		}
		if n.keeper, err = startKeeper(ctx, n.Layout); err != nil {
			return err
		}
		return n.startContainerd(ctx)
	})
}

// Stop removes every pod and container, ends every process of the node and removes its files. The error tells what
// did not go as it should, a process left by a container that was removed among it; what can be removed is removed
// all the same. It may be called on a node that started only in part.
func (n *Node) Stop(ctx context.Context) error {
	var errs []error
	if n.containerd != nil {
		errs = append(errs, n.RemoveAll(ctx))
		n.containerd.stop()
		n.containerd = nil
		left, err := n.Leftovers()
		errs = append(errs, err)
		if len(left) > 0 {
			errs = append(errs, fmt.Errorf("left behind after every pod was removed: %s", strings.Join(left, "; ")))
		}
	}
	if n.keeper != nil {
		n.keeper.stop()
		n.keeper = nil
	}
	errs = append(errs, n.sweep())
	if n.lock != nil {
		errs = append(errs, n.lock.Close())
		n.lock = nil
	}
	return errors.Join(errs...)
}

// Abandon lets go of the node as the death of this program would: it goes on running, and belongs to nobody.
func (n *Node) Abandon() error {
	return n.lock.Close()
}

// startContainerd starts one and waits until it answers CRI: it serves its socket before
// it has found the pods of its predecessor again.
func (n *Node) startContainerd(ctx context.Context) (err error) {
	if n.containerd, err = startContainerd(ctx, n.Layout, n.keeper); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		answer, err := n.Runner().Try(ctx, "crictl", "pods", "--quiet")
		if err != nil || !strings.Contains(answer.Stderr, "not initialized") { // where CRI is turned off, it says something else
			return err
		}
		<-time.After(wait)
	}
}

// RestartContainerd stops containerd and starts it again; pods go on meanwhile.
func (n *Node) RestartContainerd(ctx context.Context) error {
	n.containerd.stop()
	return n.startContainerd(ctx)
}

// CrashContainerd ends containerd with SIGKILL and starts it again; pods go on meanwhile.
func (n *Node) CrashContainerd(ctx context.Context) error {
	n.containerd.kill()
	return n.startContainerd(ctx)
}

// ReplaceContainerd stops containerd and starts another one over the same directories, as an upgrade does: that of
// the directory of programs, which may be empty, with that configuration; see Options.
func (n *Node) ReplaceContainerd(ctx context.Context, programs, config string) error {
	n.containerd.stop()
	n.Over = programs
	if err := writeConfig(ctx, n.Layout, cmp.Or(config, containerdTemplate)); err != nil {
		return err
	}
	return n.startContainerd(ctx)
}

// Inside is where this process finds a path of the node's mount namespace.
func (n *Node) Inside(path string) string {
	return "/proc/" + strconv.Itoa(n.keeper.pid()) + "/root" + path
}

// Runner starts commands inside the node: in its network, IPC and mount namespace, with its environment. ctr and crictl
// find its containerd without being told.
func (n *Node) Runner() Runner {
	env := append(n.environment(),
		"CONTAINERD_ADDRESS="+n.Socket(), "CONTAINERD_NAMESPACE="+n.Name(), "CRI_CONFIG_FILE="+n.path("etc/crictl.yaml"))
	return Runner{Prefix: n.keeper.prefix(), Dir: "/", Env: env}
}

// lockRoot keeps two nodes of one name from running at once. It holds an abstract unix socket, which ends with the
// process and leaves no file.
func lockRoot(root string) (net.Listener, error) {
	lock, err := net.Listen("unix", "@katapod-node"+root)
	if err != nil {
		return nil, fmt.Errorf("another run uses the node %s, wait for its end: %w", root, err)
	}
	return lock, nil
}

// sweep ends every process of the node and removes its files and cgroups: after Stop, and before Start for what a
// killed run left.
func (n *Node) sweep() error {
	if err := endProcesses(n.Layout); err != nil {
		return err
	}
	if err := removeCgroups(n.Name()); err != nil {
		return err
	}
	if err := os.RemoveAll(n.Root); err != nil {
		return fmt.Errorf("remove the node's files: %w", err)
	}
	return nil
}

// KeepLogs copies the log of containerd and the shims to the build output, for a look after the node is gone.
func (n *Node) KeepLogs() error {
	text, err := os.ReadFile(n.Log())
	if err != nil {
		return fmt.Errorf("keep the node's log: %w", err)
	}
	kept := filepath.Join(n.Out, n.Name()+".log")
	if err := os.WriteFile(kept, text, 0o644); err != nil {
		return fmt.Errorf("keep the node's log: %w", err)
	}
	n.progress.Fact("the log of containerd and the shims is kept in %s", kept)
	return nil
}
