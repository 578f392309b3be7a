// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func seeProcess() error {
	group, err := unix.Getpgid(0)
	if err != nil {
		return err
	}
	session, err := unix.Getsid(0)
	if err != nil {
		return err
	}
	// The numbers of others than the first depend on what ran before.
	pid := os.Getpid()
	fmt.Println("first", pid == 1, "parent", os.Getppid(), "leads its group", group == pid, "leads its session", session == pid)
	nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return err
	}
	policy, _, errno := unix.Syscall(unix.SYS_SCHED_GETSCHEDULER, 0, 0, 0)
	fmt.Println("nice", 20-nice, "scheduler", policy, named(errno)) // the system call returns 20 minus the value
	io, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, 1, 0, 0)      // 1 is IOPRIO_WHO_PROCESS
	fmt.Println("io priority", io, named(errno))
	persona, _, errno := unix.Syscall(unix.SYS_PERSONALITY, 0xffffffff, 0, 0)
	fmt.Println("personality", persona, named(errno))
	for _, name := range []string{"oom_score_adj", "coredump_filter", "uid_map", "gid_map", "setgroups", "timens_offsets"} {
		text, err := os.ReadFile("/proc/self/" + name)
		if err != nil {
			return err
		}
		fmt.Println(name, strings.Join(strings.Fields(string(text)), " "))
	}
	return nil
}

// seeStreams lists the open descriptors but those of Go's runtime (its poller, the files of the CPU limit) and the one
// that reads the directory.
func seeStreams() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	var found []int
	for _, e := range entries {
		number, err := strconv.Atoi(e.Name())
		if err != nil {
			return err
		}
		found = append(found, number)
	}
	slices.Sort(found)
	for _, number := range found {
		target, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(number))
		if err != nil || strings.HasPrefix(target, "/proc/") || strings.HasPrefix(target, cgroups) ||
			strings.HasPrefix(target, "anon_inode:") && number > 2 {
			continue
		}
		kind, _, _ := strings.Cut(target, ":") // what follows is the number of the pipe or socket
		var st unix.Stat_t
		if err := unix.Fstat(number, &st); err != nil {
			return err
		}
		flags, err := unix.FcntlInt(uintptr(number), unix.F_GETFL, 0)
		if err != nil {
			return err
		}
		fmt.Printf("descriptor %d: %s, %s, access %d, %s\n", number, kind, modeOf(&st), flags&unix.O_ACCMODE, reopened(number))
		if kind != os.DevNull { // whose owner may be that of the machine's
			fmt.Println("owner", st.Uid)
		}
	}
	return nil
}

// reopened tells whether a descriptor can be opened by its path, as programs do that log to /dev/stdout.
func reopened(number int) string {
	flags := unix.O_WRONLY
	if number == 0 {
		flags = unix.O_RDONLY
	}
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(number), flags|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return "opens again: " + named(err)
	}
	return "opens again: " + named(unix.Close(fd))
}

// list prints a directory: kind, mode, owner, device number, target, name. Of subdirectories it prints no more than that.
func list(args []string) error {
	entries, err := os.ReadDir(args[0])
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(args[0], e.Name())
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return fmt.Errorf("look at %s: %w", path, err)
		}
		line := fmt.Sprintf("%s %d:%d", modeOf(&st), st.Uid, st.Gid)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFCHR, unix.S_IFBLK:
			line += fmt.Sprintf(" device %d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
		case unix.S_IFLNK:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " -> " + target
		}
		fmt.Println(e.Name(), line)
	}
	return nil
}

// modeOf is the kind and the permissions, set-id bits included.
func modeOf(st *unix.Stat_t) string {
	kinds := map[uint32]string{
		unix.S_IFREG: "file", unix.S_IFDIR: "directory", unix.S_IFLNK: "link", unix.S_IFCHR: "character device",
		unix.S_IFBLK: "block device", unix.S_IFIFO: "pipe", unix.S_IFSOCK: "socket",
	}
	return fmt.Sprintf("%s %04o", kinds[st.Mode&unix.S_IFMT], st.Mode&0o7777)
}
