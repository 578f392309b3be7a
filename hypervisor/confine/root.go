// SPDX-License-Identifier: Apache-2.0

package confine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/containerd/errdefs"
)

// Bind is a file or directory of the host that a confined process sees.
type Bind struct {
	// From is its absolute path on the host, At its absolute path in the root;
	// empty means the same.
	From, At string
	// Writable lets the process write to it; otherwise it is mounted read-only.
	Writable bool
	// Device lets the process open the device that it is.
	Device bool
	// Tree takes what is mounted below a directory along, now and later.
	Tree bool
}

// Root is the root directory of one confined process: an empty tmpfs that is mounted
// nowhere else, so that it ends with the process and no crash leaves it behind.
type Root struct {
	mount *os.File
	binds []Bind
}

// NewRoot makes an empty root that takes binds. It needs Linux 5.2; an older one is
// errdefs.ErrNotImplemented. The caller closes it, at any time after [Start].
func NewRoot(binds ...Bind) (*Root, error) {
	config, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if errors.Is(err, unix.ENOSYS) {
		return nil, fmt.Errorf("make a root directory for a confined process: this kernel is too old, Linux 5.2 or newer is needed: %w", errdefs.ErrNotImplemented)
	}
	if err != nil {
		return nil, fmt.Errorf("make a root directory for a confined process: %w", err)
	}
	defer unix.Close(config)
	// The guest's memory may be in it, which its cgroup bounds: size=0 is no bound.
	for _, option := range [][2]string{{"mode", "0755"}, {"size", "0"}, {"source", "katapod"}} {
		if err := unix.FsconfigSetString(config, option[0], option[1]); err != nil {
			return nil, fmt.Errorf("make a root directory for a confined process: set %s=%s: %w", option[0], option[1], err)
		}
	}
	if err := unix.FsconfigCreate(config); err != nil {
		return nil, fmt.Errorf("make a root directory for a confined process: %w", err)
	}
	fd, err := unix.Fsmount(config, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return nil, fmt.Errorf("make a root directory for a confined process: %w", err)
	}
	return &Root{mount: os.NewFile(uintptr(fd), "root"), binds: binds}, nil
}

// Bind adds to what the process sees.
func (r *Root) Bind(b ...Bind) { r.binds = append(r.binds, b...) }

// Create makes an empty file at name, directly in the root, which uid owns and the
// process may write to. The caller closes the file.
func (r *Root) Create(name string, uid int) (*os.File, error) {
	fd, err := unix.Openat(int(r.mount.Fd()), name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the file %s in the root of a confined process: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	if err := f.Chown(uid, uid); err != nil {
		return nil, errors.Join(fmt.Errorf("give the file %s to a confined process: %w", name, err), f.Close())
	}
	r.Bind(Bind{From: ownFile + name, At: "/" + name, Writable: true})
	return f, nil
}

// ownFile begins the From of a file that is in the root itself.
const ownFile = "./"

// Close lets go of the root. A process that was started in it keeps it.
func (r *Root) Close() error { return r.mount.Close() }

// enter makes r the calling thread's root, in a mount namespace that is the
// thread's own and that holds nothing else. Relative paths are below r meanwhile,
// absolute ones are the host's: what is mounted over "/" does not change what the
// thread's root is until pivot_root.
func (r *Root) enter() error {
	// What is mounted on the host later reaches a Tree, and nothing goes back.
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("keep mounts from the host: %w", err)
	}
	if err := r.attach(); err != nil {
		return err
	}
	made := map[string]bool{".": true}
	for _, b := range r.binds {
		if err := r.show(b, made); err != nil {
			return fmt.Errorf("show %s to a confined process: %w", b.From, err)
		}
	}
	const sealed = unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV
	if err := unix.Mount("", ".", "", sealed, ""); err != nil {
		return fmt.Errorf("make the root directory read-only: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change the root directory: %w", err)
	}
	// Over the new root are now the host's and, over that, the first mount of attach.
	for range 2 {
		if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
			return fmt.Errorf("let go of the host's file systems: %w", err)
		}
	}
	return os.Chdir("/")
}

// attach mounts r and, over it, another mount of the same, and goes there. The second
// can be made read-only while the caller has files of the first open.
func (r *Root) attach() error {
	mount := func(fd int) error {
		if err := unix.MoveMount(fd, "", unix.AT_FDCWD, "/", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return fmt.Errorf("mount the root directory: %w", err)
		}
		return nil
	}
	if err := mount(int(r.mount.Fd())); err != nil {
		return err
	}
	again, err := unix.OpenTree(int(r.mount.Fd()), "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("mount the root directory again: %w", err)
	}
	defer unix.Close(again)
	if err := mount(again); err != nil {
		return err
	}
	if err := unix.Fchdir(again); err != nil {
		return fmt.Errorf("enter the root directory: %w", err)
	}
	return nil
}

// show puts b below the working directory. made are the directories that are
// there already.
func (r *Root) show(b Bind, made map[string]bool) error {
	at := b.At
	if at == "" {
		at = b.From
	}
	at = strings.TrimPrefix(path.Clean(at), "/")
	if b.From != ownFile+at {
		info, err := os.Stat(b.From)
		if err != nil {
			return err
		}
		if err := makePlace(at, info, made); err != nil {
			return err
		}
		const byOthers = 0o004
		if !b.Writable && info.Mode().IsRegular() && info.Mode()&byOthers == 0 {
			return r.copy(b.From, at)
		}
	}
	flags := uintptr(unix.MS_BIND)
	if b.Tree {
		flags |= unix.MS_REC
	}
	if err := unix.Mount(b.From, at, "", flags, ""); err != nil {
		return fmt.Errorf("bind it: %w", err)
	}
	flags = unix.MS_REMOUNT | unix.MS_BIND | unix.MS_NOSUID
	if !b.Writable {
		flags |= unix.MS_RDONLY
	}
	if !b.Device {
		flags |= unix.MS_NODEV
	}
	if b.Writable && !b.Device && !b.Tree {
		flags |= unix.MS_NOEXEC
	}
	if err := unix.Mount("", at, "", flags, ""); err != nil {
		return fmt.Errorf("restrict it: %w", err)
	}
	return nil
}

// makePlace makes an empty file or directory to bind on, like what info describes.
func makePlace(at string, info os.FileInfo, made map[string]bool) error {
	parent := path.Dir(at)
	if info.IsDir() {
		parent = at
	}
	if !made[parent] {
		if err := os.MkdirAll(parent, 0o755); err != nil {
			return fmt.Errorf("make a place for it: %w", err)
		}
		made[parent] = true
	}
	if info.IsDir() {
		return nil
	}
	// Not for writing: a mount with a file that is open for writing cannot be made
	// read-only, and a process that is forked elsewhere just now has what is open here
	// until its execve.
	f, err := os.OpenFile(at, os.O_CREATE|os.O_RDONLY, placeMode(info))
	if errors.Is(err, unix.EROFS) {
		return nil // It is in a directory that is shown already.
	}
	if err != nil {
		return fmt.Errorf("make a place for it: %w", err)
	}
	return f.Close()
}

// copy puts a copy of a file that only its owner may read into the place at. It writes
// through the first mount of attach, which is not made read-only: see makePlace.
func (r *Root) copy(from, at string) error {
	source, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copy it: %w", err)
	}
	defer source.Close() // Read only: nothing to lose.
	fd, err := unix.Openat(int(r.mount.Fd()), at, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("copy it: %w", err)
	}
	place := os.NewFile(uintptr(fd), at)
	_, err = io.Copy(place, source)
	if err := errors.Join(err, place.Close()); err != nil {
		return fmt.Errorf("copy it: %w", err)
	}
	return nil
}

// Device makes a device of the host known to the process, which alone owns it there:
// the device's own permissions do not matter.
func (r *Root) Device(device string, uid int) error {
	var st unix.Stat_t
	if err := unix.Stat(device, &st); err != nil {
		return fmt.Errorf("show the device %s to a confined process: %w", device, err)
	}
	name := "device-" + path.Base(device)
	if err := unix.Mknodat(int(r.mount.Fd()), name, st.Mode&unix.S_IFMT|0o600, int(st.Rdev)); err != nil {
		return fmt.Errorf("show the device %s to a confined process: %w", device, err)
	}
	if err := unix.Fchownat(int(r.mount.Fd()), name, uid, uid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("give the device %s to a confined process: %w", device, err)
	}
	r.Bind(Bind{From: ownFile + name, At: device, Device: true, Writable: true})
	return nil
}

// placeMode lets everybody read a file, and run it if its owner may.
func placeMode(info os.FileInfo) os.FileMode {
	if info.Mode()&0o100 != 0 {
		return 0o555
	}
	return 0o444
}
