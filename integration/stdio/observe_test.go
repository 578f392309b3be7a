// SPDX-License-Identifier: Apache-2.0

package stdio

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/integration/node"
)

// usage is what the pod holds: descriptors and goroutines of the shim, open files and threads of the whole guest.
type usage struct {
	shimFiles, shimRoutines int
	guestFiles, guestTasks  int
}

func (u usage) String() string {
	return fmt.Sprintf("shim: %d descriptors, %d goroutines; guest: %d open files, %d threads", u.shimFiles, u.shimRoutines, u.guestFiles, u.guestTasks)
}

// below tells whether nothing is more than it was, apart from what the runtimes of both Go programs and the guest's
// kernel keep for later: a descriptor of the scheduler's, and the threads that were needed at once for the containers
// that come and go together. A leak would be one for each of hundreds.
func (u usage) below(before usage) bool {
	const slack, threads = 8, 4 * together
	return u.shimFiles <= before.shimFiles+slack && u.shimRoutines <= before.shimRoutines+slack &&
		u.guestFiles <= before.guestFiles+slack && u.guestTasks <= before.guestTasks+threads
}

// unleaked runs work and wants the pod to hold no more afterwards than before. What ends in the background is waited
// for.
func unleaked(t *testing.T, ctx context.Context, work func()) {
	t.Helper()
	if shared.runtime == "runc" {
		work()
		return
	}
	within := resident(t, ctx)
	before := observe(t, ctx, within)
	spent := processorTime(t)
	began := time.Now()
	work()
	t.Logf("took %s; %s", time.Since(began).Round(time.Millisecond), spentSince(t, spent))
	var after usage
	for deadline := time.Now().Add(3 * time.Minute); ; {
		after = observe(t, ctx, within)
		if after.below(before) || time.Now().After(deadline) {
			break
		}
	}
	t.Logf("before: %s", before)
	t.Logf("after:  %s", after)
	if !after.below(before) {
		t.Error("the pod holds more than before")
	}
}

// observe counts. The guest's numbers are the kernel's own: proc(5), sys/fs/file-nr and loadavg.
func observe(t *testing.T, ctx context.Context, within *process) usage {
	t.Helper()
	p, err := within.exec(ctx, "observe", request{args: []string{"cat", "/proc/sys/fs/file-nr", "/proc/loadavg"}})
	if err != nil {
		t.Fatal(err)
	}
	start(t, ctx, p)
	r := finish(t, ctx, p, 0)
	words := strings.Fields(r.stdout)
	if len(words) < 7 {
		t.Fatalf("the guest's counters are %q", r.stdout)
	}
	var u usage
	_, tasks, _ := strings.Cut(words[6], "/")
	for text, n := range map[string]*int{words[0]: &u.guestFiles, tasks: &u.guestTasks} {
		if *n, err = strconv.Atoi(text); err != nil {
			t.Fatalf("the guest's counters are %q: %v", r.stdout, err)
		}
	}
	shim := shimOf(t)
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", shim.PID))
	if err != nil {
		t.Fatal(err)
	}
	u.shimFiles, u.shimRoutines = len(files), goroutines(t, ctx, shim.PID)
	return u
}

// shimOf is the process of the pod's shim.
func shimOf(t *testing.T) node.Process {
	t.Helper()
	all, err := shared.PodProcesses()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(p node.Process) bool { return p.Name() == "containerd-shim-kata-v2" })
	if i < 0 {
		t.Fatalf("no shim among %v", all)
	}
	return all[i]
}

// goroutines has the shim log all of its goroutines, as SIGUSR1 asks for, and counts them.
func goroutines(t *testing.T, ctx context.Context, pid int) int {
	t.Helper()
	read := func() []byte {
		log, err := os.ReadFile(shared.Log())
		if err != nil {
			t.Fatal(err)
		}
		return log
	}
	seen := len(read())
	if err := unix.Kill(pid, unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	for {
		if _, after, found := bytes.Cut(read()[seen:], []byte(`"goroutines:`)); found && bytes.ContainsRune(after, '\n') {
			line, _, _ := bytes.Cut(after, []byte("\n"))
			return len(regexp.MustCompile(`goroutine \d+ [^\\]*\[`).FindAll(line, -1))
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the shim does not log its goroutines: %v", context.Cause(ctx))
		case <-time.After(time.Millisecond):
		}
	}
}

// processorTime is how long each program of the node, and its containerd, has run so far.
func processorTime(t *testing.T) map[string]time.Duration {
	t.Helper()
	all, err := shared.Processes()
	if err != nil {
		t.Fatal(err)
	}
	spent := map[string]time.Duration{}
	for _, p := range all {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID))
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		for _, field := range fields[11:13] { // utime and stime, in hundredths of a second: proc(5)
			ticks, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			spent[p.Name()] += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return spent
}

func spentSince(t *testing.T, before map[string]time.Duration) string {
	t.Helper()
	now := processorTime(t)
	words := []string{"processor time:"}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if d := now[name] - before[name]; d > 0 {
			words = append(words, fmt.Sprintf("%s %s", name, d))
		}
	}
	return strings.Join(words, " ")
}
