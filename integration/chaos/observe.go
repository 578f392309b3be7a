// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// observe tells the cycle of the points that the shim reaches, by the files that it makes and by its log, until stop
// is called.
func (c *cycle) observe() (stop func(), err error) {
	w, err := newWatcher()
	if err != nil {
		return nil, err
	}
	known, _ := os.ReadDir(c.bundles()) // there is none before the first pod
	w.add(c.bundles())
	w.add(c.sandboxes())
	go w.run(func(path, name string) { c.changed(w, known, path, name) })
	c.log.begin(c.logged)
	return func() {
		w.close()
		c.log.begin(func(string) {})
	}, nil
}

// changed looks at what has appeared: first the bundle, then in it the shim's process, then its ledger.
func (c *cycle) changed(w *watcher, known []os.DirEntry, path, name string) {
	switch {
	case path == c.bundles():
		if c.id() != "" || slices.ContainsFunc(known, func(e os.DirEntry) bool { return e.Name() == name }) {
			return
		}
		c.mu.Lock()
		c.pod = name
		c.mu.Unlock()
		w.add(filepath.Join(path, name))
		c.sawShim()
	case path == c.sandboxes():
		if c.id() != "" && strings.HasPrefix(name, c.id()) && !strings.HasSuffix(name, "@gone") {
			w.add(filepath.Join(path, name))
			c.readLedger(filepath.Join(path, name))
		}
	case name == "ledger":
		c.readLedger(path)
	case filepath.Dir(path) == c.bundles():
		c.sawShim()
	}
}

// sawShim is told that the bundle has changed.
func (c *cycle) sawShim() {
	if c.shimPID() == 0 {
		return
	}
	c.reach("start/shim")
	c.states.open(filepath.Join(c.bundle(), "address"), c.id())
}

// readLedger takes the ledger's lines and names what they acquire.
func (c *cycle) readLedger(dir string) {
	text, err := os.ReadFile(filepath.Join(dir, "ledger"))
	if err != nil {
		return // not yet, or no more
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	c.mu.Lock()
	seen := len(c.ledger)
	if len(lines) < seen { // compacted
		seen = len(lines)
	}
	c.ledger = lines
	c.mu.Unlock()
	for _, line := range lines[seen:] {
		if rest, acquired := strings.CutPrefix(line, `{"op":"+","kind":"`); acquired {
			kind, _, _ := strings.Cut(rest, `"`)
			c.reach("ledger/" + kind)
		}
	}
}

// logged is told of each line of the log.
func (c *cycle) logged(line string) {
	id := c.id()
	if id == "" || !strings.Contains(line, "a step begins") || !strings.Contains(line, id) {
		return
	}
	_, step, found := strings.Cut(line, " step=")
	if found {
		step, _, _ = strings.Cut(step, " ")
		c.reach("start/" + strings.Trim(step, `"`))
	}
}
