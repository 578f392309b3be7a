// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"strings"
)

// normal takes out of a transcript what two kernels, or two places of the same files, cannot have in common.
func normal(text string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		for _, rule := range rules() {
			line = rule.pattern.ReplaceAllString(line, rule.by)
		}
		kept.WriteString(line)
	}
	return kept.String()
}

// rule replaces a pattern in every line of a transcript.
type rule struct {
	pattern *regexp.Regexp
	by      string
}

// rules are applied in this order.
func rules() []rule {
	return []rule{
		// The root and what is bound of the host is on the file system of the host, or on the share or disk by which it
		// reaches the guest. The flags of the mount are compared.
		{regexp.MustCompile(` type=(overlay|ext4|xfs|btrfs|virtiofs|fuse|erofs) flags=(\S+) options=\S+ (\S+) source=\S+`), " storage flags=$2 $3"},
		// What is bound of the host is a slave of the host's mount where that is shared, as on a node. In a guest there is no
		// mount of the host to be named; that mounts of the host do arrive is for critest to show.
		{regexp.MustCompile(`(storage flags=\S+) master`), "$1 private"},
		// The link is there where the kernel has /proc/kcore.
		{regexp.MustCompile(`^out\| core link 0777 0:0 -> /proc/kcore(\\r)?\n$`), ""},
		// Signals 32 and 33 are the C library's, whose programs cannot set them. GNU make leaves them ignored in what it
		// starts, down to containerd and the containers of runc.
		{regexp.MustCompile(`(SigIgn:\\t[0-9a-f]{7})[01][08]([0-9a-f]{7})`), "${1}00$2"},
		// sysfs is read-only by the flag of the mount, which is compared, whatever its superblock says.
		{regexp.MustCompile(`(type=sysfs flags=\S+) options=r[ow]`), "$1"},
	}
}
