// SPDX-License-Identifier: Apache-2.0

package virtiofsd

import (
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/containerd/errdefs"
)

// Config is all that shapes a daemon.
type Config struct {
	// Binary is the path of virtiofsd, of either kind.
	Binary string
	// Socket is the path of the unix socket to listen on, at most 107 bytes. It
	// must not exist; [Daemon.Stop] removes it.
	Socket string
	// SharedDir is the directory that the guest sees. The guest cannot write to it, but
	// to what is mounted below it.
	SharedDir string
	// Cache says how long the guest may trust what it has read: "auto",
	// "always", or "never", for which "none" is another name. Empty is "auto".
	// The Rust daemon also has "metadata".
	Cache string
	// Debug makes the daemon tell what it does.
	Debug bool
	// Findings is the directory that keeps what binaries said when they were asked
	// for their options; empty asks every time.
	Findings string
	// ExtraArgs are appended to the driver's own arguments.
	ExtraArgs []string
	// Spawned, if set, is called with each process id of the daemon at once
	// after it began. An error makes Start fail and kill the daemon.
	Spawned func(pid int) error
}

// maxSocket is the room in a unix socket address less its final zero byte.
const maxSocket = 107

func (c Config) check() error {
	st, err := os.Stat(c.Binary)
	switch {
	case err != nil:
		return fmt.Errorf("virtiofsd cannot be used at %q; install qemu-system-common or virtiofsd, or correct \"virtio_fs_daemon\" in the configuration: %w: %w", c.Binary, err, errdefs.ErrNotFound)
	case !st.Mode().IsRegular() || st.Mode()&0o111 == 0:
		return fmt.Errorf("virtiofsd %s is not an executable file; correct \"virtio_fs_daemon\" in the configuration: %w", c.Binary, errdefs.ErrInvalidArgument)
	}
	if st, err = os.Stat(c.SharedDir); err != nil || !st.IsDir() {
		return fmt.Errorf("the directory to share, %q, is not a directory: %w", c.SharedDir, errdefs.ErrInvalidArgument)
	}
	if c.Socket == "" || len(c.Socket) > maxSocket {
		return fmt.Errorf("virtiofsd's socket path %q must have 1 to %d bytes: %w", c.Socket, maxSocket, errdefs.ErrInvalidArgument)
	}
	if st, err := os.Lstat(c.Socket); err == nil {
		what := "a file"
		if st.Mode()&fs.ModeSocket != 0 {
			what = "a socket"
		}
		return fmt.Errorf("%s is at virtiofsd's socket path %s already: %w", what, c.Socket, errdefs.ErrAlreadyExists)
	}
	if strings.ContainsRune(c.SharedDir, '\n') {
		return fmt.Errorf("the directory to share, %q, has a newline in its name: %w", c.SharedDir, errdefs.ErrInvalidArgument)
	}
	return nil
}
