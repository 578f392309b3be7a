// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// sampleContainerd counts in containerd, by its pprof handlers.
func (s *soak) sampleContainerd(ctx context.Context, into map[string]float64) error {
	files, err := descriptors(s.node.ContainerdPID())
	if err != nil {
		return err
	}
	into[containerdFiles] = files
	for name, ask := range map[string]struct {
		path, pattern string
		unit          float64
	}{
		containerdRoutines: {"goroutine?debug=1", `goroutine profile: total (\d+)`, 1},
		containerdHeap:     {"heap?gc=1&debug=1", `# HeapAlloc = (\d+)`, 1 << 10},
	} {
		v, err := s.pprof(ctx, ask.path, ask.pattern)
		if err != nil {
			return err
		}
		into[name] = v / ask.unit
	}
	into[containerdDirectories], err = directories(filepath.Join(s.node.Root, "root"))
	return err
}

// pprof reads a number from one of containerd's profiles.
func (s *soak) pprof(ctx context.Context, path, pattern string) (float64, error) {
	socket := filepath.Join(s.node.Root, "run/debug.sock")
	transport := &http.Transport{
		DisableKeepAlives: true, // or the connection would be counted
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://containerd/debug/pprof/"+path, nil)
	if err != nil {
		return 0, err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return 0, fmt.Errorf("ask containerd for its profile %s: %w", path, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, fmt.Errorf("read containerd's profile %s: %w", path, err)
	}
	found := regexp.MustCompile(pattern).FindSubmatch(text)
	if found == nil {
		return 0, fmt.Errorf("containerd's profile %s does not have %s", path, pattern)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

// directories counts those of containerd's root. It removes snapshots while this looks.
func directories(top string) (float64, error) {
	count := 0.0
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case os.IsNotExist(err):
			return nil
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "fs":
			count++
			return fs.SkipDir // what is inside is the image's
		case entry.IsDir():
			count++
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("count containerd's directories: %w", err)
	}
	return count, nil
}

// sampleShim counts in the shim that stays. Only our own tells of its goroutines.
func (s *soak) sampleShim(ctx context.Context, into map[string]float64) (err error) {
	if into[shimFiles], err = descriptors(s.shim); err != nil {
		return err
	}
	for name, key := range map[string]string{shimThreads: "Threads:", shimMemory: "RssAnon:"} {
		if into[name], err = status(s.shim, key); err != nil {
			return err
		}
	}
	if s.isVM() {
		into[shimRoutines], err = s.goroutines(ctx)
	}
	return err
}

// isVM tells whether the pods have guests, and shims of ours.
func (s *soak) isVM() bool { return strings.HasPrefix(s.handler, "kata") }

// goroutines has the shim log all of its goroutines, as SIGUSR1 asks for, and counts them.
func (s *soak) goroutines(ctx context.Context) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, podLimit)
	defer cancel()
	log, err := os.Open(s.node.Log())
	if err != nil {
		return 0, fmt.Errorf("open the node's log: %w", err)
	}
	defer log.Close()
	if _, err := log.Seek(0, io.SeekEnd); err != nil {
		return 0, fmt.Errorf("find the end of the node's log: %w", err)
	}
	if err := unix.Kill(s.shim, unix.SIGUSR1); err != nil {
		return 0, fmt.Errorf("signal shim %d: %w", s.shim, err)
	}
	var said []byte
	for {
		more, err := io.ReadAll(log)
		if err != nil {
			return 0, fmt.Errorf("read the node's log: %w", err)
		}
		said = append(said, more...)
		if _, after, found := bytes.Cut(said, []byte(`"goroutines:`)); found && bytes.ContainsRune(after, '\n') {
			line, _, _ := bytes.Cut(after, []byte("\n"))
			return float64(len(regexp.MustCompile(`goroutine \d+ [^\\]*\[`).FindAll(line, -1))), nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("the shim does not log its goroutines: %w", ctx.Err())
		case <-time.After(time.Millisecond): // a file tells of nothing
		}
	}
}

func descriptors(pid int) (float64, error) {
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0, fmt.Errorf("count the descriptors of process %d: %w", pid, err)
	}
	return float64(len(files)), nil
}

// status reads a number of /proc/<pid>/status (proc(5)); memory is in KiB.
func status(pid int, key string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read the status of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == key {
			return strconv.ParseFloat(words[1], 64)
		}
	}
	return 0, fmt.Errorf("the status of process %d has no %s", pid, key)
}
