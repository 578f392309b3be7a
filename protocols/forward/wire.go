// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/containerd/errdefs"
)

// Feature is the name under which an agent announces that it forwards ports, in
// AgentDetails.extra_features.
const Feature = "katapod.port-forward"

// The answers of the agent.
const (
	connected byte = 0
	refused   byte = 1
)

// Request is the host's part: it asks for a port over a new stream and waits for
// the answer. The error is ErrUnavailable when nothing listens there.
func Request(stream io.ReadWriter, port uint16) error {
	if _, err := stream.Write(binary.BigEndian.AppendUint16(nil, port)); err != nil {
		return fmt.Errorf("ask for port %d of the guest: %w", port, err)
	}
	var answer [1]byte
	if _, err := io.ReadFull(stream, answer[:]); err != nil {
		return fmt.Errorf("wait for port %d of the guest: %w", port, err)
	}
	switch answer[0] {
	case connected:
		return nil
	case refused:
		return fmt.Errorf("port %d of the guest's loopback: nothing listens there: %w", port, errdefs.ErrUnavailable)
	}
	return fmt.Errorf("wait for port %d of the guest: the answer %#x is neither 0 nor 1", port, answer[0])
}

// ReadPort is how the agent begins: it reads the port that the host wants.
func ReadPort(stream io.Reader) (uint16, error) {
	var port [2]byte
	if _, err := io.ReadFull(stream, port[:]); err != nil {
		return 0, fmt.Errorf("read the port to forward to: %w", err)
	}
	return binary.BigEndian.Uint16(port[:]), nil
}

// Answer tells the host whether the agent is connected to the port.
func Answer(stream io.Writer, yes bool) error {
	answer := refused
	if yes {
		answer = connected
	}
	if _, err := stream.Write([]byte{answer}); err != nil {
		return fmt.Errorf("tell whether a port is connected: %w", err)
	}
	return nil
}
