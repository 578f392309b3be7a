// SPDX-License-Identifier: Apache-2.0

package leaktest

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// held is what a process has, by a name that it keeps as long as it is there:
// goroutines, descriptors and children, each with what it is.
type held map[string]string

// look finds all that the process has.
func look() held {
	warm()
	h := held{}
	h.goroutines()
	h.descriptors()
	h.children()
	return h
}

// warm has the runtime make what it makes once.
func warm() {
	r, w, err := os.Pipe()
	if err == nil {
		_ = r.SetDeadline(time.Now())
		_, _ = r.Close(), w.Close()
	}
}

// goroutines adds those that were begun, other than this one.
func (h held) goroutines() {
	buf := make([]byte, 4<<20)
	stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	for _, stack := range stacks[1:] { // the first is this goroutine's
		name, _, found := strings.Cut(stack, " [")
		if found && !permanent(stack) {
			h[name] = stack
		}
	}
}

// permanent tells of a goroutine that the standard library begins once.
func permanent(stack string) bool {
	for _, by := range []string{"created by os/signal.Notify", "created by os/signal.init", "runtime.ensureSigM", "created by runtime."} {
		if strings.Contains(stack, by) {
			return true
		}
	}
	return false
}

// descriptors adds the open ones. The poller's own are the runtime's.
func (h held) descriptors() {
	const dir = "/proc/self/fd/"
	entries, err := os.ReadDir(dir)
	if err != nil {
		h[dir] = err.Error()
	}
	for _, e := range entries {
		what, err := os.Readlink(dir + e.Name())
		if err != nil || what == "anon_inode:[eventpoll]" || what == "anon_inode:[eventfd]" {
			continue // the directory's own is gone by now
		}
		h["descriptor "+e.Name()+" "+what] = ""
	}
}

// children adds the processes that were started and not waited for, from proc(5)'s
// children files.
func (h held) children() {
	const dir = "/proc/self/task/"
	tasks, err := os.ReadDir(dir)
	if err != nil {
		h[dir] = err.Error()
	}
	for _, t := range tasks {
		text, err := os.ReadFile(dir + t.Name() + "/children")
		if err != nil {
			continue // a thread that ended, or a kernel without that file
		}
		for _, pid := range strings.Fields(string(text)) {
			command, _ := os.ReadFile("/proc/" + pid + "/cmdline")
			h["process "+pid] = strings.ReplaceAll(string(command), "\x00", " ")
		}
	}
}

// since lists what there is now and was not before.
func (before held) since() string {
	var b strings.Builder
	for name, what := range look() {
		if _, known := before[name]; !known {
			fmt.Fprintf(&b, "%s\n%s\n", name, what)
		}
	}
	return b.String()
}

// await waits until there is nothing that was not before, and returns what there
// still is. Nothing tells of the end of a goroutine or a descriptor, so it looks
// again, ever more seldom.
func (before held) await(limit time.Duration) string {
	deadline := time.Now().Add(limit)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		left := before.since()
		if left == "" || time.Now().After(deadline) {
			return left
		}
		<-time.After(pause)
	}
}
