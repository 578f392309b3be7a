// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// specsMode is a device's mode as the spec has it.
func specsMode(mode uint32) os.FileMode { return os.FileMode(mode) }

// ownMounts leaves out what hides parts of /proc and /sys, which is looked at by its effect, and the control groups,
// which are of another version in the guest.
const ownMounts = "probe see mounts | grep -vE '^/(proc|sys)/'"

// mountRows are about mounts and volumes.
func mountRows() []row {
	const flags = "probe see mounts | grep ' \\?/v\\(/[a-z]*\\)\\? ' | sed 's/source=.*//'"
	bind := func(options ...string) func(*specs.Spec) { return mounted("bind", ownDir+"volume", "/v", options...) }
	return []row{
		{about: "mounts", name: "mounts", script: ownMounts},
		{about: "mounts", name: "volume: flags", change: bind("rbind", "rw", "nosuid", "nodev", "noexec", "noatime"), script: "probe see mounts | grep '^/v '"},
		{about: "mounts", name: "volume: read-only", change: bind("rbind", "ro"), script: "probe see mounts | grep '^/v '; cat /v/file; probe try create:/v/x write:/v/file mkdir:/v/below/x remount:/v"},
		{about: "mounts", name: "volume: read-only for everything below", change: bind("rbind", "rro"), script: "probe see mounts | grep '^/v '; probe try create:/v/x create:/v/below/x"},
		{about: "mounts", name: "volume: noexec and nosuid, in effect", change: bind("rbind", "noexec", "nosuid"), script: "cp /bin/true /v/true; /v/true; echo $?"},
		{about: "mounts", name: "volume: slave", change: bind("rbind", "rslave"), script: "probe see mounts | grep '^/v '"},
		{about: "mounts", name: "volume: propagation by default", change: bind("bind"), script: "probe see mounts | grep '^/v '"},
		{about: "mounts", name: "volume: a file", change: mounted("bind", ownDir+"volume/file", "/etc/one", "bind", "ro"), script: "cat /etc/one; probe try write:/etc/one remove:/etc/one"},
		{about: "mounts", name: "volume: over a directory of the image", change: mounted("bind", ownDir+"readonly", "/root", "rbind", "rw"), script: "ls /root; ls -ld /root | cut -c1-10"},
		{about: "mounts", name: "volume: at a path that the image lacks", change: mounted("bind", ownDir+"readonly", "/new/place/here", "rbind", "rw"), script: "ls /new/place/here; echo x >/new/place/here/x && rm /new/place/here/x"},
		{about: "mounts", name: "modes of directories made for a mount", change: mounted("tmpfs", "tmpfs", "/new/place", "size=1m"), script: "ls -ld /new | cut -c1-10"},
		{about: "mounts", name: "volume: what a user makes", change: with(asUser(1000), bind("rbind", "rw")), script: "rm -rf /v/u; mkdir /v/u && cd /v/u && umask 027 && echo x >f && ln f hard && ln -s f soft && mkfifo pipe && probe list . && cat soft && stat -c %h f && rm -r /v/u && echo gone"},
		{about: "mounts", name: "volume: what root makes", change: bind("rbind", "rw"), script: "rm -rf /v/r; mkdir /v/r && cd /v/r && touch f && chown 5:6 f && chmod 4711 f && mkdir -m 1777 d && mknod p p && probe list . && probe try xattr:f device:/v/r/dev && mv f g && probe list . && rm -r /v/r"},
		{about: "mounts", name: "volume: files are locked, mapped, truncated", change: bind("rbind", "rw"), script: "cd /v && echo 0123456789 >l && flock -n l true && truncate -s 5 l && cat l && echo && truncate -s 100 l && stat -c %s l && dd if=/dev/zero of=l bs=1 seek=200 count=1 conv=notrunc 2>/dev/null && stat -c %s l && rm l"},
		{about: "mounts", name: "volume: a file without a name", change: bind("rbind", "rw"), script: "probe try tmpfile:/v"},
		{about: "mounts", name: "one mount above another", change: with(mounted("tmpfs", "tmpfs", "/a", "size=1m"), mounted("tmpfs", "tmpfs", "/a/b", "size=2m"), mounted("bind", ownDir+"readonly", "/a/b/c", "rbind", "ro")), script: "df -k /a /a/b | awk '{print $2, $6}'; ls /a/b/c"},
		{about: "mounts", name: "propagation of the root", change: func(s *specs.Spec) { s.Linux.RootfsPropagation = "rslave" }, script: "probe see mounts | grep '^/ '"},
		{about: "tmpfs", name: "tmpfs: options", change: mounted("tmpfs", "tmpfs", "/v", "nosuid", "nodev", "noexec", "size=1m", "mode=1770", "uid=5", "gid=6", "nr_inodes=50"), script: "ls -lnd /v | awk '{print $1, $3, $4}'; " + flags + "; df -k /v | awk '{print $2}'; cp /bin/true /v/t 2>/dev/null || echo full; /v/t; echo $?"},
		{about: "tmpfs", name: "tmpfs: no options", change: mounted("tmpfs", "tmpfs", "/v"), script: "ls -ld /v | cut -c1-10; probe see mounts | grep '^/v ' | sed 's/options=.*//'"},
		{about: "tmpfs", name: "tmpfs: read-only", change: mounted("tmpfs", "tmpfs", "/v", "ro", "size=1m"), script: "probe see mounts | grep '^/v '; probe try create:/v/x"},
		{about: "tmpfs", name: "tmpfs: over a directory of the image", change: mounted("tmpfs", "tmpfs", "/tmp", "size=1m"), script: "ls -ld /tmp | cut -c1-10; ls /tmp"},
		{about: "tmpfs", name: "tmpfs: filled from the image", change: mounted("tmpfs", "tmpfs", "/etc", "size=1m", "tmpcopyup"), script: "ls /etc; head -n 1 /etc/passwd"},
	}
}

// rootRows are about the root file system.
func rootRows() []row {
	readOnly := func(s *specs.Spec) { s.Root.Readonly = true }
	return []row{
		{about: "root", name: "root: files", script: "mkdir /d && cd /d && echo x >f && ln f hard && ln -s f soft && chown 7:8 f && chmod 6755 f && mkfifo p && probe list . && mv f g && stat -c %h g && probe try xattr:g device:/d/dev link:/d/g chown:g && probe list ."},
		{about: "root", name: "root: a file without a name", script: "probe try tmpfile:/tmp"},
		{about: "root", name: "root: its directory", script: "ls -lna / | awk 'NR > 1 {print $1, $3, $4, $9}'; ls -id / >/dev/null; df / >/dev/null && echo sized"},
		{about: "root", name: "root: files of the image are changed", script: "echo more >>/etc/passwd && tail -n 1 /etc/passwd && rm /etc/group && ls /etc && mv /etc /etc2 && ls /etc2 | head -n 1"},
		{about: "root", name: "root: read-only", change: readOnly, script: "probe see mounts | grep '^/ '; probe try create:/x mkdir:/tmp/x write:/etc/passwd remove:/etc/group chmod:/etc/passwd remount:/ create:/dev/shm/x create:/dev/x"},
		{about: "root", name: "root: read-only, with volumes that are not", change: with(readOnly, mounted("tmpfs", "tmpfs", "/tmp", "size=1m"), mounted("bind", ownDir+"volume", "/root", "rbind", "rw")), script: "probe try create:/tmp/x create:/root/x remove:/root/x create:/etc/x"},
		{about: "root", name: "root: a user may not write", change: asUser(1000), script: "probe try create:/x create:/tmp/x write:/etc/passwd read:/root"},
	}
}
