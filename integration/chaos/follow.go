// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// watcher tells of changes in directories and files, by inotify(7).
type watcher struct {
	file *os.File

	mu    sync.Mutex
	paths map[int32]string
}

func newWatcher() (*watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch files: %w", err)
	}
	return &watcher{file: os.NewFile(uintptr(fd), "inotify"), paths: map[int32]string{}}, nil
}

// add watches a directory or a file; one that is gone is not watched.
func (w *watcher) add(path string) {
	const mask = unix.IN_CREATE | unix.IN_MODIFY | unix.IN_MOVED_TO
	w.mu.Lock()
	defer w.mu.Unlock()
	conn, err := w.file.SyscallConn()
	if err != nil {
		return // closed
	}
	_ = conn.Control(func(fd uintptr) {
		if number, err := unix.InotifyAddWatch(int(fd), path, mask); err == nil {
			w.paths[int32(number)] = path
		}
	})
}

// run calls fn for each change, with the watched path and the name of the entry of a directory, until close.
func (w *watcher) run(fn func(path, name string)) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := w.file.Read(buffer)
		if err != nil {
			return
		}
		for rest := buffer[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			number := int32(binary.NativeEndian.Uint32(rest))
			length := int(binary.NativeEndian.Uint32(rest[12:]))
			name := string(bytes.TrimRight(rest[unix.SizeofInotifyEvent:][:length], "\x00"))
			rest = rest[unix.SizeofInotifyEvent+length:]
			w.mu.Lock()
			path := w.paths[number]
			w.mu.Unlock()
			fn(path, name)
		}
	}
}

func (w *watcher) close() { _ = w.file.Close() }

// logTail follows the log of containerd and the shims.
type logTail struct {
	file    *os.File
	watcher *watcher

	mu      sync.Mutex
	partial string
	lines   []string // of the present cycle
	fn      func(line string)
}

func followLog(path string) (*logTail, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("follow the log: %w", err)
	}
	w, err := newWatcher()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	t := &logTail{file: file, watcher: w, fn: func(string) {}}
	w.add(path)
	t.read()
	go w.run(func(string, string) { t.read() })
	return t, nil
}

// read takes what is new.
func (t *logTail) read() {
	t.mu.Lock()
	defer t.mu.Unlock()
	buffer := make([]byte, 64<<10)
	for {
		n, err := t.file.Read(buffer)
		t.partial += string(buffer[:n])
		for {
			line, rest, whole := strings.Cut(t.partial, "\n")
			if !whole {
				break
			}
			t.partial = rest
			t.lines = append(t.lines, line)
			t.fn(line)
		}
		if err != nil || n == 0 {
			return
		}
	}
}

// begin forgets the lines so far and hands each new one to fn.
func (t *logTail) begin(fn func(line string)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines, t.fn = nil, fn
}

// text is what came since begin.
func (t *logTail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n") + "\n"
}

func (t *logTail) stop() {
	t.watcher.close()
	_ = t.file.Close() // it was only read
}
