// SPDX-License-Identifier: Apache-2.0

package names

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net/netip"

	"github.com/containerd/errdefs"
)

// Feature is the name under which an agent announces that it passes questions
// on, in AgentDetails.extra_features.
const Feature = "katapod.name-service"

// Port is that of every name server (RFC 1035, section 4.2).
const Port = 53

// Question is a message of DNS on its way to the server, as it is without the
// length that TCP puts before it. The guest is not to be trusted with it.
type Question struct {
	Number uint32
	// TCP says that the question came by TCP, and is to be asked by it.
	TCP     bool
	Message []byte
}

// Answer is the server's to the question of the same number; an empty message
// stands for none.
type Answer struct {
	Number  uint32
	Message []byte
}

const (
	ready   = 0
	refused = 1
)

// Open asks, on a new stream, for questions to the server at the address.
// errdefs.ErrUnavailable means that the agent cannot take them.
func Open(stream io.ReadWriter, server netip.Addr) error {
	if !server.Is4() {
		return fmt.Errorf("pass questions on to %s: no IPv4 address: %w", server, errdefs.ErrInvalidArgument)
	}
	address := server.As4()
	if _, err := stream.Write(address[:]); err != nil {
		return fmt.Errorf("ask the agent for questions to %s: %w", server, err)
	}
	var verdict [1]byte
	if _, err := io.ReadFull(stream, verdict[:]); err != nil {
		return fmt.Errorf("the agent does not say whether it takes questions to %s: %w", server, err)
	}
	if verdict[0] != ready {
		return fmt.Errorf("the agent cannot take questions to %s, its log says why: %w", server, errdefs.ErrUnavailable)
	}
	return nil
}

// Take reads, at the agent's end, the address that Open sent.
func Take(stream io.Reader) (netip.Addr, error) {
	var address [4]byte
	if _, err := io.ReadFull(stream, address[:]); err != nil {
		return netip.Addr{}, fmt.Errorf("read which name server is meant: %w", err)
	}
	return netip.AddrFrom4(address), nil
}

// Confirm answers Open.
func Confirm(stream io.Writer, ok bool) error {
	verdict := []byte{refused}
	if ok {
		verdict[0] = ready
	}
	_, err := stream.Write(verdict)
	return err
}

// Write sends a question in one write.
func (q Question) Write(w io.Writer) error {
	kind := byte(0)
	if q.TCP {
		kind = 1
	}
	return send(w, append(binary.BigEndian.AppendUint32(nil, q.Number), kind), q.Message)
}

// Write sends an answer in one write.
func (a Answer) Write(w io.Writer) error {
	return send(w, binary.BigEndian.AppendUint32(nil, a.Number), a.Message)
}

func send(w io.Writer, head, message []byte) error {
	if len(message) > math.MaxUint16 {
		return fmt.Errorf("a message of %d bytes is longer than DNS allows: %w", len(message), errdefs.ErrInvalidArgument)
	}
	head = binary.BigEndian.AppendUint16(head, uint16(len(message)))
	_, err := w.Write(append(head, message...))
	return err
}

// ReadQuestion reads what Question.Write wrote.
func ReadQuestion(r io.Reader) (Question, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Question{}, err
	}
	message, err := receive(r)
	return Question{Number: binary.BigEndian.Uint32(head[:]), TCP: head[4] != 0, Message: message}, err
}

// ReadAnswer reads what Answer.Write wrote.
func ReadAnswer(r io.Reader) (Answer, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Answer{}, err
	}
	message, err := receive(r)
	return Answer{Number: binary.BigEndian.Uint32(head[:]), Message: message}, err
}

// receive reads a message with its length, which is bounded by its type.
func receive(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(r, message)
	return message, err
}

// ReadMessage reads one message of DNS over TCP, WriteMessage writes one
// (RFC 1035, section 4.2.2).
func ReadMessage(r io.Reader) ([]byte, error) { return receive(r) }

// WriteMessage is the reverse of ReadMessage.
func WriteMessage(w io.Writer, message []byte) error { return send(w, nil, message) }
