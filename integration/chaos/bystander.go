// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/katapod/katapod/integration/images"
)

const (
	// heartbeat is a shell that prints the guest's uptime five times a second.
	heartbeat = `while read up rest </proc/uptime; do echo $up; sleep 0.2; done`
	// heartLimit is the longest that the heart may be silent on a machine that does nothing else.
	heartLimit = 2 * time.Second
	// bystanderLimit is how soon an exec answers.
	bystanderLimit = 3 * time.Second
)

// bystander is a pod that nobody does anything to.
type bystander struct {
	pod, container string
	log            string
	read           int64   // bytes of the log that were looked at
	last           float64 // the last beat, in seconds since the guest's boot
}

func (s *suite) startBystander(ctx context.Context) (*bystander, error) {
	config := s.podConfig("bystander")
	run, err := s.runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config, RuntimeHandler: "kata"})
	if err != nil {
		return nil, fmt.Errorf("start the bystander: %w", err)
	}
	b := &bystander{pod: run.PodSandboxId, log: filepath.Join(config.LogDirectory, "heart.log")}
	created, err := s.runtime.CreateContainer(ctx, &cri.CreateContainerRequest{
		PodSandboxId: b.pod, SandboxConfig: config, Config: &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: "heart"}, Image: &cri.ImageSpec{Image: images.Busybox},
			Command: []string{"sh", "-c", heartbeat}, LogPath: "heart.log", Linux: &cri.LinuxContainerConfig{},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("create the bystander's container: %w", err)
	}
	b.container = created.ContainerId
	if _, err := s.runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: b.container}); err != nil {
		return nil, fmt.Errorf("start the bystander's container: %w", err)
	}
	return b, nil
}

// judgeBystander looks whether the bystander noticed anything of the cycle.
func (c *cycle) judgeBystander(ctx context.Context) {
	b := c.bystander
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	answer, err := c.runtime.ExecSync(ctx, &cri.ExecSyncRequest{ContainerId: b.container, Cmd: []string{"echo", "well"}})
	took := time.Since(began)
	switch {
	case err != nil:
		c.wrong("bystander: exec fails: %v", err)
	case string(answer.Stdout) != "well\n" || answer.ExitCode != 0:
		c.wrong("bystander: exec printed %q, code %d", answer.Stdout, answer.ExitCode)
	case took > c.stalls.allow(bystanderLimit, began):
		c.wrong("bystander: exec took %s", took.Round(time.Millisecond))
	}
	longest, beats, err := b.silence()
	switch {
	case err != nil:
		c.wrong("bystander: %v", err)
	case beats == 0:
		c.wrong("bystander: its heart has stopped")
	case longest > c.stalls.allow(heartLimit, earlier(c.began, time.Now().Add(-longest))): // it may have begun before
		c.wrong("bystander: its heart was silent for %s", longest.Round(time.Millisecond))
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// silence is the longest time between two beats since it was last asked.
func (b *bystander) silence() (longest time.Duration, beats int, err error) {
	file, err := os.Open(b.log)
	if err != nil {
		return 0, 0, fmt.Errorf("read its log: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, 0, err
	}
	text := make([]byte, info.Size()-b.read)
	n, err := file.ReadAt(text, b.read)
	if err != nil {
		return 0, 0, fmt.Errorf("read its log: %w", err)
	}
	text = text[:strings.LastIndexByte(string(text[:n]), '\n')+1]
	b.read += int64(len(text))
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line) // time, stream, tag, text
		var up float64
		if len(fields) != 4 {
			continue
		}
		if _, err := fmt.Sscan(fields[3], &up); err != nil {
			return 0, 0, fmt.Errorf("its log has the line %q", line)
		}
		if b.last > 0 {
			longest = max(longest, time.Duration((up-b.last)*float64(time.Second)))
		}
		b.last = up
		beats++
	}
	return longest, beats, nil
}
