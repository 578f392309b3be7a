// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/katapod/katapod/sandbox/ledger"
)

// undoTable says how each kind of resource is undone, while the pod lives and
// after a crash alike.
func (d Drivers) undoTable() ledger.Undo {
	return ledger.Undo{
		ledger.Process: func(ctx context.Context, args []string) error { return d.KillProcess(ctx, args[0], args[1]) },
		ledger.Tap: func(_ context.Context, args []string) error {
			tap, device, _ := strings.Cut(args[1], tapSeparator)
			return d.Network.Disconnect(args[0], tap, device)
		},
		ledger.NetNS:  func(_ context.Context, args []string) error { return d.Network.Remove(args[0]) },
		ledger.Mount:  func(_ context.Context, args []string) error { return d.Mounts.Unmount(args[0]) },
		ledger.Cgroup: func(ctx context.Context, args []string) error { return d.RemoveCgroup(ctx, args[0]) },
		ledger.Dir:    func(_ context.Context, args []string) error { return os.RemoveAll(args[0]) },
		ledger.File:   func(_ context.Context, args []string) error { return removeFile(args[0]) },
		ledger.Socket: func(_ context.Context, args []string) error { return removeFile(args[0]) },
		ledger.User:   func(_ context.Context, args []string) error { return removeClaim(args[0], args[1]) },
	}
}

// tapSeparator joins a TAP's name and the device it stands in for; neither can
// hold a slash.
const tapSeparator = "/"

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove: %w", err)
	}
	return nil
}

func mountOf(target string) ledger.Resource {
	return ledger.Resource{Kind: ledger.Mount, Args: []string{target}}
}
func dirOf(path string) ledger.Resource {
	return ledger.Resource{Kind: ledger.Dir, Args: []string{path}}
}
func fileOf(path string) ledger.Resource {
	return ledger.Resource{Kind: ledger.File, Args: []string{path}}
}
func netnsOf(path string) ledger.Resource {
	return ledger.Resource{Kind: ledger.NetNS, Args: []string{path}}
}
func cgroupOf(path string) ledger.Resource {
	return ledger.Resource{Kind: ledger.Cgroup, Args: []string{path}}
}
func tapOf(netns, tap, device string) ledger.Resource {
	return ledger.Resource{Kind: ledger.Tap, Args: []string{netns, tap + tapSeparator + device}}
}
