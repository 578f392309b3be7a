// SPDX-License-Identifier: Apache-2.0

package virtiofsd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// findings keeps what binaries said about themselves, so that a pod need not run
// its daemon twice. It is a directory, best on a tmpfs; empty keeps nothing.
type findings string

// finding is what one binary said, and which file that was.
type finding struct {
	Path           string        `json:"path"`
	Device         uint64        `json:"device"`
	Inode          uint64        `json:"inode"`
	Changed        unix.Timespec `json:"changed"` // of the inode, which nobody can set
	Rust           bool          `json:"rust"`
	AnnounceOption bool          `json:"announce_option"`
}

// flavor is that of a binary, asked for unless it is known.
func (d findings) flavor(ctx context.Context, binary string) (flavor, error) {
	if d == "" {
		return detect(ctx, binary)
	}
	var st unix.Stat_t
	if err := unix.Stat(binary, &st); err != nil {
		return flavor{}, fmt.Errorf("look at virtiofsd %s: %w", binary, err)
	}
	now := finding{Path: binary, Device: st.Dev, Inode: st.Ino, Changed: st.Ctim}
	if f, known := d.load(now); known {
		return f, nil
	}
	f, err := detect(ctx, binary)
	if err != nil {
		return flavor{}, err
	}
	now.Rust, now.AnnounceOption = f.rust, f.announceOption
	// What cannot be kept is asked for again.
	_ = d.store(now)
	return f, nil
}

func (d findings) file(binary string) string {
	sum := sha256.Sum256([]byte(binary))
	return filepath.Join(string(d), "virtiofsd-"+hex.EncodeToString(sum[:8])+".json")
}

// load returns what is known about the very file that now describes.
func (d findings) load(now finding) (flavor, bool) {
	text, err := os.ReadFile(d.file(now.Path))
	if err != nil {
		return flavor{}, false
	}
	var kept finding
	if json.Unmarshal(text, &kept) != nil {
		return flavor{}, false
	}
	f := flavor{rust: kept.Rust, announceOption: kept.AnnounceOption}
	kept.Rust, kept.AnnounceOption = false, false
	return f, kept == now
}

// store replaces the file in one step, since several shims may start at once.
func (d findings) store(f finding) error {
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(string(d), 0o711); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(string(d), "virtiofsd.*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), d.file(f.Path))
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}
