// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
)

// answerLimit is how soon after a death everybody who waits has an answer.
const answerLimit = 2 * time.Second

// waiters are those who wait for the end of a process.
type waiters struct {
	mu   sync.Mutex
	list []*waiter
}

// waiter waits for one process.
type waiter struct {
	what string
	done chan struct{}
	// at, code and err are set once done is closed.
	at   time.Time
	code uint32
	err  error
}

// add waits, by call, in the background.
func (w *waiters) add(what string, call func() (code uint32, err error)) *waiter {
	it := &waiter{what: what, done: make(chan struct{})}
	w.mu.Lock()
	w.list = append(w.list, it)
	w.mu.Unlock()
	go func() {
		defer close(it.done)
		it.code, it.err = call()
		it.at = time.Now()
	}()
	return it
}

func (w *waiters) all() []*waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*waiter{}, w.list...)
}

// waitAtShim asks the shim itself for the end of a container, as containerd does.
func (c *cycle) waitAtShim(ctx context.Context, id string) {
	address, err := os.ReadFile(filepath.Join(c.bundle(), "address"))
	if err != nil {
		return // the pod is gone already
	}
	client, err := dialShim(string(address))
	if err != nil {
		return
	}
	c.waiters.add("Wait for "+id[:min(8, len(id))], func() (uint32, error) {
		defer client.Close()
		resp, err := taskapi.NewTTRPCTaskClient(client).Wait(ctx, &taskapi.WaitRequest{ID: id})
		if err != nil {
			return 0, err
		}
		return resp.ExitStatus, nil
	})
}

// answered is what is wrong with a waiter's answer to a death, "" when nothing is. The limit is that for something
// that lasted from the death until then.
func (w *waiter) answered(death time.Time, limit func(until time.Time) time.Duration) string {
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		select {
		case <-w.done:
			switch took := w.at.Sub(death); {
			case took <= 0:
				return "" // it ended by itself, just before
			case w.code == 0 && w.err == nil:
				return fmt.Sprintf("%s: the answer to the death was success", w.what)
			case took > limit(w.at):
				return fmt.Sprintf("%s: the answer came %s after the death", w.what, round(took))
			}
			return ""
		case <-time.After(wait):
		}
		if since := time.Since(death); since > limit(time.Now()) {
			return fmt.Sprintf("%s: no answer %s after the death", w.what, round(since))
		}
	}
}

// judgeWaiters looks for those who wait although the pod has been removed.
func (c *cycle) judgeWaiters(removed time.Time) {
	for _, w := range c.waiters.all() {
		for wait := time.Millisecond; !w.isDone(); wait = min(2*wait, 50*time.Millisecond) {
			if since := time.Since(removed); since > c.stalls.allow(answerLimit, removed) {
				c.wrong("%s: no answer %s after the pod was removed", w.what, round(since))
				break
			}
			<-time.After(wait)
		}
	}
}

func (w *waiter) isDone() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}
