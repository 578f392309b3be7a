// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	taskevents "github.com/containerd/containerd/api/events"
	"google.golang.org/protobuf/proto"
)

func TestReadOnlyRanges(t *testing.T) {
	const maps = `00400000-00b10000 r-xp 00000000 fe:00 9988036                            /usr/local/bin/shim
00b10000-013e0000 r--p 00710000 fe:00 9988036                            /usr/local/bin/shim
013e0000-01459000 rw-p 00fe0000 fe:00 9988036                            /usr/local/bin/shim
01459000-0349e000 rw-p 00000000 00:00 0
7f0000000000-7f0000001000 r--p 00000000 fe:00 12                         /other/usr/local/bin/shim2
7ffc3d2b1000-7ffc3d2b3000 r-xp 00000000 00:00 0                          [vdso]
not a line of this file /usr/local/bin/shim
`
	got := readOnlyRanges(strings.NewReader(maps), "/usr/local/bin/shim")
	want := []memoryRange{{0x400000, 0xb10000}, {0xb10000, 0x13e0000}}
	if !slices.Equal(got, want) {
		t.Errorf("readOnlyRanges = %x, want %x", got, want)
	}
}

// TestGiveBackShrinksTheProcess touches the whole of this test's binary and sees
// its file pages leave.
func TestGiveBackShrinksTheProcess(t *testing.T) {
	before := residentFile(t)
	if err := giveBack(); err != nil {
		t.Fatal(err)
	}
	if after := residentFile(t); after >= before {
		t.Errorf("RssFile is %d kB, was %d kB: nothing was given back", after, before)
	}
}

// residentFile is RssFile of proc(5), in kB.
func residentFile(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`RssFile:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Fatalf("no RssFile in /proc/self/status:\n%s", status)
	}
	kB, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kB
}

// published collects events.
type published struct{ events []proto.Message }

func (p *published) Publish(e proto.Message) { p.events = append(p.events, e) }

func TestMemoryIsGivenBackOnceEventsAreQuiet(t *testing.T) {
	given, next := make(chan bool), &published{}
	publisher := newThrifty(t.Context(), next, func() error { given <- true; return errors.New("only a warning") })
	defer publisher.Stop()
	event := &taskevents.TaskStart{ContainerID: "c"}
	publisher.Publish(event)
	if len(next.events) != 1 || next.events[0] != proto.Message(event) {
		t.Fatalf("published %v, want the event", next.events)
	}
	<-given // a burst is one gift
	select {
	case <-given:
		t.Error("memory was given back twice for one burst")
	default:
	}
}
