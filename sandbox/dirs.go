// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/containerd/errdefs"
	"github.com/moby/sys/mountinfo"

	"github.com/katapod/katapod/sandbox/config"
)

// dirs are the pod's places on the host, all below the configured state_dir.
type dirs struct {
	state string // of this pod; tools look here
	vm    string // sockets, whose paths must be short
}

func newDirs(c config.Runtime, namespace, id string) dirs {
	return dirs{state: c.SandboxDir(namespace, id), vm: c.VMDir(namespace, id)}
}

func (d dirs) ledger() string   { return ledgerIn(d.state) }
func (d dirs) timeline() string { return filepath.Join(d.state, "timeline.json") }
func (d dirs) netns() string    { return filepath.Join(d.state, "netns") }
func (d dirs) share() string    { return filepath.Join(d.state, "shared") }
func (d dirs) info() string     { return filepath.Join(d.state, "info.json") }

// ledgerIn is the ledger's path in a state directory.
func ledgerIn(state string) string { return filepath.Join(state, "ledger") }

// goneMark is the end of the name of a directory that is being removed. No id and
// no namespace can hold it.
const goneMark = "@gone"

// removeTree removes a state directory, unless something is still mounted in
// it: what is mounted there is a container's or the host's. It is called with the
// ledger locked. The name is given up first, at once: from then on, a new pod may
// have it, and is not removed in the place of the old.
func removeTree(dir string) error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		return fmt.Errorf("look for mounts in the state directory: %w", err)
	}
	if len(mounts) > 0 {
		return fmt.Errorf("remove the state directory: %s is still mounted: %w", mounts[0].Mountpoint, errdefs.ErrFailedPrecondition)
	}
	gone := dir + goneMark
	err = os.RemoveAll(gone) // of a removal that was killed
	if err == nil {
		err = os.Rename(dir, gone)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.RemoveAll(gone)
	}
	if err != nil {
		return fmt.Errorf("remove the state directory: %w", err)
	}
	return nil
}

// create makes the state directory, which must not exist.
func (d dirs) create() error {
	if err := os.MkdirAll(filepath.Dir(d.state), 0o711); err != nil {
		return fmt.Errorf("make the directory of all pods: %w", err)
	}
	err := os.Mkdir(d.state, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the state directory of the pod: %s exists; a pod of this id runs, or was not cleaned up: %w",
			d.state, errdefs.ErrAlreadyExists)
	}
	if err != nil {
		return fmt.Errorf("make the state directory of the pod: %w", err)
	}
	return nil
}
