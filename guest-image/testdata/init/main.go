// SPDX-License-Identifier: Apache-2.0

// Command init is the guest's first program in the tests of the kernel and the
// image: it says that it runs, prints what the tests ask about, one
// "key: value" line each, and ends the VM.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// tools are run in the guest, because a program with a missing library starts
// nowhere else as it would there.
var tools = [][]string{
	{"/usr/bin/crun", "--version"},
	{"/usr/sbin/iptables-save", "-t", "nat"},
	{"/usr/sbin/ip6tables-save", "-t", "filter"},
	{"/usr/sbin/mkfs.ext4", "-V"},
	{"/usr/sbin/resize2fs"},
	{"/bin/sh", "-c", "echo from the shell; ls /etc/os-release"},
}

func main() {
	fmt.Println("katapod-init: up")
	mount("proc", "/proc", "proc")
	mount("dev", "/dev", "devtmpfs")
	mount("sys", "/sys", "sysfs")
	mount("cgroup", "/sys/fs/cgroup", "cgroup2")
	mount("tmpfs", "/run", "tmpfs")
	printFile("uptime", "/proc/uptime")
	printFile("filesystems", "/proc/filesystems")
	printFile("controllers", "/sys/fs/cgroup/cgroup.controllers")
	printFile("root", "/proc/mounts")
	addRule("/usr/sbin/iptables-restore")
	addRule("/usr/sbin/ip6tables-restore")
	for _, tool := range tools {
		run(nil, tool...)
	}
	fmt.Println("katapod-init: end")
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART); err != nil {
		fmt.Println("reboot:", err)
	}
}

func mount(source, target, kind string) {
	if err := unix.Mount(source, target, kind, 0, ""); err != nil {
		fmt.Printf("mount: %s on %s: %v\n", kind, target, err)
	}
}

// printFile joins the lines of a file, so that one line on the console holds it.
func printFile(key, path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		fmt.Printf("%s: %v\n", key, err)
		return
	}
	fmt.Printf("%s: %s\n", key, strings.Join(strings.Fields(string(text)), " "))
}

// addRule uses an address translation and a match, which exercises the kernel's
// tables and the plug-ins that iptables loads.
func addRule(tool string) {
	rules := "*nat\n-A OUTPUT -p tcp -m tcp --dport 80 -m comment --comment test -m owner --uid-owner 7 -j REDIRECT --to-ports 8080\nCOMMIT\n"
	run(strings.NewReader(rules), tool)
}

func run(stdin *strings.Reader, command ...string) {
	cmd := exec.Command(command[0], command[1:]...)
	if stdin != nil {
		cmd.Stdin = stdin
	}
	out, err := cmd.CombinedOutput()
	fmt.Printf("run %s: %v: %s\n", command[0], err, strings.Join(strings.Fields(string(out)), " "))
}
