// SPDX-License-Identifier: Apache-2.0

package reaper

// Watch remembers the ends of processes that nobody registered, from its making
// until it is closed, so that a process started by another program can be
// claimed after it may already have ended.
type Watch struct {
	reaper *Reaper
	seen   map[int]Exit
}

// Watch begins to remember. The caller closes it.
func (r *Reaper) Watch() *Watch {
	w := &Watch{reaper: r, seen: map[int]Exit{}}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watches[w] = struct{}{}
	return w
}

// Claim returns a channel that gets the end of pid, once: at once when it has
// ended since the watch began.
func (w *Watch) Claim(pid int) <-chan Exit {
	w.reaper.mu.Lock()
	defer w.reaper.mu.Unlock()
	c := make(chan Exit, 1)
	if e, ok := w.seen[pid]; ok {
		c <- e
		return c
	}
	w.reaper.waiters[pid] = c
	return c
}

// Close ends the watch. Claims stay valid.
func (w *Watch) Close() {
	w.reaper.mu.Lock()
	defer w.reaper.mu.Unlock()
	delete(w.reaper.watches, w)
}
