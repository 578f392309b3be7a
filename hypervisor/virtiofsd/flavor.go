// SPDX-License-Identifier: Apache-2.0

package virtiofsd

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/protocols/timeouts"
)

// flavor is what the arguments of a daemon depend on.
type flavor struct {
	// rust tells the Rust daemon from the one in C.
	rust bool
	// announceOption says that telling the guest about mount points has to be
	// asked for. Later Rust daemons do it unless told not to.
	announceOption bool
}

// detect asks the binary for its options.
func detect(ctx context.Context, binary string) (flavor, error) {
	limited, cancel := context.WithTimeout(ctx, timeouts.Version)
	defer cancel()
	out, err := exec.CommandContext(limited, binary, "--help").CombinedOutput()
	if ctx.Err() != nil {
		return flavor{}, fmt.Errorf("ask virtiofsd %s for its options: %w", binary, ctx.Err())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return flavor{}, fmt.Errorf("run virtiofsd %s; the file may be corrupt, install it again: %w", binary, err)
	}
	f, ok := recognise(string(out))
	if !ok {
		return flavor{}, fmt.Errorf("%s does not show virtiofsd's options when asked for --help; correct \"virtio_fs_daemon\" in the configuration: %w", binary, errdefs.ErrInvalidArgument)
	}
	return f, nil
}

// recognise tells the flavor from the text of --help.
func recognise(help string) (flavor, bool) {
	switch {
	case strings.Contains(help, "--shared-dir"):
		return flavor{
			rust:           true,
			announceOption: strings.Contains(help, "--announce-submounts") && !strings.Contains(help, "--no-announce-submounts"),
		}, true
	case strings.Contains(help, "-o source="):
		return flavor{announceOption: true}, true
	}
	return flavor{}, false
}

// args is the daemon's command line; it listens on descriptor fd and may have
// files open files. It is pure.
//
// Locks stay within the guest: neither daemon can let a guest wait for a lock
// on the host, which programs would take for a broken file system.
func (f flavor) args(c Config, fd int, files uint64) ([]string, error) {
	cache, err := f.cache(c.Cache)
	if err != nil {
		return nil, err
	}
	if f.rust {
		a := []string{
			"--fd=" + strconv.Itoa(fd), "--shared-dir=" + sharedAt, "--cache=" + cache,
			"--sandbox=namespace", "--seccomp=kill", "--xattr", "--rlimit-nofile=" + strconv.FormatUint(files, 10),
		}
		if c.Debug {
			a = append(a, "--log-level=info")
		}
		if f.announceOption {
			a = append(a, "--announce-submounts")
		}
		return append(a, c.ExtraArgs...), nil
	}
	// Not "debug", which writes lines for every request of the guest.
	level := "warn"
	if c.Debug {
		level = "info"
	}
	// The C daemon always filters its system calls.
	return append([]string{
		"-f", "--fd=" + strconv.Itoa(fd), "--rlimit-nofile=" + strconv.FormatUint(files, 10),
		"-o", "source=" + sharedAt, "-o", "cache=" + cache,
		"-o", "sandbox=namespace,xattr,announce_submounts,log_level=" + level,
	}, c.ExtraArgs...), nil
}

// cache is the daemon's word for a cache mode.
func (f flavor) cache(mode string) (string, error) {
	switch {
	case mode == "":
		return "auto", nil
	case (mode == "never" || mode == "none") && f.rust:
		return "never", nil
	case mode == "never" || mode == "none":
		return "none", nil
	case slices.Contains([]string{"auto", "always"}, mode), mode == "metadata" && f.rust:
		return mode, nil
	case mode == "metadata":
		return "", fmt.Errorf("virtio-fs cache mode metadata: the C daemon does not have it, use auto, always or never, or the Rust daemon: %w", errdefs.ErrNotImplemented)
	}
	return "", fmt.Errorf("virtio-fs cache mode %q: allowed are auto, always, never, and metadata with the Rust daemon: %w", mode, errdefs.ErrInvalidArgument)
}
