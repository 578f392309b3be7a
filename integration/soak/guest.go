// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// sampleGuest counts in the guest that stays: what its kernel says of the whole of it, as a container can read it
// (proc(5)). Threads are those that the kernel has, zombies among them.
func (s *soak) sampleGuest(ctx context.Context, into map[string]float64) error {
	text, err := s.Exec(ctx, s.stays, "grep", ".", "/proc/meminfo", "/proc/sys/fs/file-nr", "/proc/loadavg", "/proc/cgroups")
	if err != nil {
		return err
	}
	numbers, err := parseGuest(text)
	if err != nil {
		return err
	}
	for name, v := range numbers {
		into[name] = v
	}
	return nil
}

// parseGuest reads what grep prints of several files: the name of each before its line.
func parseGuest(text string) (map[string]float64, error) {
	words := map[string]string{}
	for line := range strings.Lines(text) {
		file, rest, _ := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		switch {
		case file == "/proc/meminfo" && len(fields) > 1:
			words[fields[0]] = fields[1]
		case file == "/proc/sys/fs/file-nr" && len(fields) > 0:
			words[guestFiles] = fields[0]
		case file == "/proc/loadavg" && len(fields) > 3:
			_, words[guestTasks], _ = strings.Cut(fields[3], "/")
		case file == "/proc/cgroups" && len(fields) > 2 && fields[0] == "memory":
			words[guestCgroups] = fields[2]
		}
	}
	found := map[string]float64{}
	for _, name := range []string{"MemTotal:", "MemAvailable:", guestFiles, guestTasks, guestCgroups} {
		v, err := strconv.ParseFloat(words[name], 64)
		if err != nil {
			return nil, fmt.Errorf("the guest's kernel does not tell %s in %q", name, text)
		}
		found[name] = v
	}
	found[guestMemory] = found["MemTotal:"] - found["MemAvailable:"]
	delete(found, "MemTotal:")
	delete(found, "MemAvailable:")
	return found, nil
}
