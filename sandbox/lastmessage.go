// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/protocols/timeouts"
)

// An engine tells its clients of an exit no more than a code. But kubelet has each
// container bind a file of the host, and shows what it finds there after the container's
// end as the message of that end (container.terminationMessagePath of the Pod API).
const (
	messageAnnotation = "io.kubernetes.container.terminationMessagePath"
	messageDefault    = "/dev/termination-log"
	// messageLimit is as much as kubelet reads.
	messageLimit = 4 << 10
)

// lastMessageOf is the file of the host for a container's last message, empty for none.
func lastMessageOf(spec *specs.Spec) string {
	at := spec.Annotations[messageAnnotation]
	if at == "" {
		at = messageDefault
	}
	for _, m := range spec.Mounts {
		if m.Destination == at && m.Type == "bind" {
			return m.Source
		}
	}
	return ""
}

// tell leaves why the pod died for those who look at its containers alone. The files are
// the engine's; one on a file system that hangs delays the exits no longer than
// [timeouts.LastMessage].
func (s *Sandbox) tell(f *Failure, torn []*Container) {
	told := make(chan struct{})
	// It ends with the writes.
	go func() {
		defer close(told)
		for _, c := range torn {
			if err := c.leaveMessage(f.Error()); err != nil {
				s.log.WithError(err).WithField("container", c.id).Warn("cannot leave a message of the pod's death")
			}
		}
	}()
	timer := time.NewTimer(timeouts.LastMessage)
	defer timer.Stop()
	select {
	case <-told:
	case <-timer.C:
	}
}

// torn are the containers whose processes run, and that an engine reads a message of.
func (s *Sandbox) torn() (torn []*Container) {
	for _, c := range s.Containers() {
		if c.lastMessage != "" && !closed(c.init.Done()) {
			torn = append(torn, c)
		}
	}
	return torn
}

// leaveMessage writes text, unless the container has left a message itself.
func (c *Container) leaveMessage(text string) error {
	c.telling.Lock()
	defer c.telling.Unlock()
	// A guest may write to the file and nothing else; it was the engine's to choose.
	f, err := os.OpenFile(c.lastMessage, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open the file for the container's last message: %w", err)
	}
	defer f.Close() // WriteAt tells of errors; there is nothing to flush.
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.Join(fmt.Errorf("%s is no file for a last message", c.lastMessage), err)
	}
	there, err := io.ReadAll(io.LimitReader(f, messageLimit+1))
	if err != nil {
		return fmt.Errorf("read the container's last message: %w", err)
	}
	if string(there) != c.told {
		return nil
	}
	text = text[:min(len(text), messageLimit)]
	// Never empty meanwhile: it may be read now.
	if _, err := f.WriteAt([]byte(text), 0); err != nil {
		return fmt.Errorf("write the container's last message: %w", err)
	}
	if err := f.Truncate(int64(len(text))); err != nil {
		return fmt.Errorf("write the container's last message: %w", err)
	}
	c.told = text
	return nil
}
