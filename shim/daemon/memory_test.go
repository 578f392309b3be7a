// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	taskevents "github.com/containerd/containerd/api/events"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/shim/pod"
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
	own, err := ownBinary()
	if err != nil {
		t.Fatal(err)
	}
	before := residentFile(t)
	if err := own.giveBack(); err != nil {
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

// gifts is a thrift that tells what it gives.
func gifts(t *testing.T) (*thrift, chan string) {
	t.Helper()
	given := make(chan string, 8)
	gift := func(what string) func() error {
		return func() error { given <- what; return errors.New("only a warning") }
	}
	th := newThrift(t.Context(), gift("pages"), gift("all"))
	t.Cleanup(th.stop)
	return th, given
}

func TestMemoryIsGivenBackAfterEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th, given := gifts(t)
		if got := <-given; got != "all" {
			t.Errorf("after the shim's own start %s was given back, want all", got)
		}
		next := &published{}
		event := &taskevents.TaskStart{ContainerID: "c"}
		for range 3 {
			thrifty{next, th}.Publish(event)
		}
		if len(next.events) != 3 || next.events[0] != proto.Message(event) {
			t.Fatalf("published %v, want the events", next.events)
		}
		if got := <-given; got != "all" {
			t.Errorf("after events %s was given back, want all", got)
		}
		time.Sleep(2 * timeouts.QuietShim)
		select {
		case again := <-given:
			t.Errorf("%s was given back twice for one burst", again)
		default:
		}
	})
}

func TestPagesAreGivenBackAfterCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th, given := gifts(t)
		<-given
		call := func() {
			t.Helper()
			got, err := th.intercept(t.Context(), nil, nil, func(context.Context, func(any) error) (any, error) { return "answer", os.ErrClosed })
			if got != "answer" || !errors.Is(err, os.ErrClosed) {
				t.Fatalf("the call returned %v, %v", got, err)
			}
		}
		call()
		if got := <-given; got != "pages" {
			t.Errorf("after a call %s was given back, want pages", got)
		}
	})
}

func TestPagesAreGivenBackAfterQuestionsOfThePod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th, given := gifts(t)
		<-given
		refused := errors.New("no pod is made here")
		_, err := th.factory(func(o sandbox.Options) (pod.Sandbox, error) {
			if o.ID != "p" {
				t.Errorf("the pod is %q", o.ID)
			}
			o.Asked()
			return nil, refused
		})(sandbox.Options{ID: "p"})
		if !errors.Is(err, refused) {
			t.Errorf("error %v", err)
		}
		if got := <-given; got != "pages" {
			t.Errorf("after a question of the pod %s was given back, want pages", got)
		}
	})
}

// TestABurstOfCallsPutsItOff is the case of an exec, which is several calls.
func TestABurstOfCallsPutsItOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th, given := gifts(t)
		<-given
		const calls, apart = 5, timeouts.QuietCall / 2
		for range calls {
			th.pages.due()
			time.Sleep(apart)
		}
		if len(given) != 0 {
			t.Error("pages were given back within a burst of calls")
		}
		began := time.Now()
		<-given
		if got, want := time.Since(began), timeouts.QuietCall-apart; got != want {
			t.Errorf("pages were given back %v after the burst, want %v", got, want)
		}
	})
}

// TestCallsThatGoOnPutItOffForAWhileOnly is the case of an engine that never ceases to
// ask.
func TestCallsThatGoOnPutItOffForAWhileOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th, given := gifts(t)
		<-given
		began := time.Now()
		for len(given) == 0 {
			th.pages.due()
			time.Sleep(timeouts.QuietCall / 10)
			if longest := timeouts.QuietShim + timeouts.QuietCall; time.Since(began) > 2*longest {
				t.Fatalf("nothing was given back in %v of calls", 2*longest)
			}
		}
		if waited := time.Since(began); waited < timeouts.QuietShim {
			t.Errorf("pages were given back after %v of a burst, want %v and a little", waited, timeouts.QuietShim)
		}
	})
}

// TestEventsThatGoOnDoNotPutItOff has events a little apart for longer than they take.
func TestEventsThatGoOnDoNotPutItOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th, given := gifts(t)
		<-given
		began := time.Now()
		for len(given) == 0 && time.Since(began) < 2*timeouts.QuietShim {
			th.all.due()
			time.Sleep(timeouts.QuietShim / 10)
		}
		if waited := time.Since(began); waited > timeouts.QuietShim+timeouts.QuietShim/10 {
			t.Errorf("memory was given back after %v of events, want %v", waited, timeouts.QuietShim)
		}
	})
}

func TestNothingIsGivenBackAfterTheEnd(t *testing.T) {
	th, given := gifts(t)
	th.stop()
	th.pages.due()
	th.all.due()
	if th.pages.take() || th.all.take() || len(given) != 0 {
		t.Error("memory is given back after the end")
	}
}
