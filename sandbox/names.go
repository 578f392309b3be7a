// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/protocols/names"
	"github.com/katapod/katapod/protocols/timeouts"
	"github.com/katapod/katapod/protocols/transport"
)

// Docker answers for the names of containers at 127.0.0.11 of a container's
// network namespace, which is on the host, while the container's resolv.conf is
// read in the guest, whose loopback is its own. So questions to that address are
// carried to the host's side and asked there; see package protocols/names.

// dockerNames is where Docker answers: it has no setting for that.
func dockerNames() netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, 11}) }

const (
	// maxQuestions bounds the questions of one pod that are asked at a time, each
	// of which costs a goroutine and a socket.
	maxQuestions = 64
)

// resolvConfOf is the host's file that a container has as its resolv.conf.
func resolvConfOf(spec *specs.Spec) string {
	for _, m := range spec.Mounts {
		if m.Destination == "/etc/resolv.conf" && m.Type != "tmpfs" {
			return m.Source
		}
	}
	return ""
}

// asksDocker tells whether a resolv.conf names Docker's server.
func asksDocker(path string) bool {
	info, err := os.Stat(path)
	if path == "" || err != nil || !info.Mode().IsRegular() {
		return false
	}
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if words := strings.Fields(lines.Text()); len(words) > 1 && words[0] == "nameserver" && words[1] == dockerNames().String() {
			return true
		}
	}
	return false
}

// offerNames begins to answer in the guest, unless it has begun, and returns when
// the guest is ready to ask. A pod does without when that fails, and says so.
func (s *Sandbox) offerNames(ctx context.Context) {
	netns := s.network.path()
	if netns == "" || !s.networked() || !slices.Contains(s.guest().features, names.Feature) {
		return
	}
	s.network.names.Do(func() {
		stream, err := s.openNames(ctx)
		if err != nil {
			if !s.life.over() {
				s.log.WithError(err).Warn("Docker's names of containers cannot be asked for in this pod")
			}
			return
		}
		// It owns the stream, and ends with it, which the pod's end does.
		go s.answerNames(netns, stream)
	})
}

func (s *Sandbox) openNames(ctx context.Context) (net.Conn, error) {
	bounded, cancel := s.life.during(ctx, timeouts.Names)
	defer cancel()
	stream, err := s.dialer().Dial(bounded, transport.PortNames)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(bounded, func() { _ = stream.Close() })
	if err := names.Open(stream, dockerNames()); err != nil {
		stop()
		return nil, errors.Join(err, stream.Close())
	}
	if !stop() {
		return nil, context.Cause(bounded)
	}
	return stream, nil
}

// answerNames owns the stream, and ends with it or with the pod.
func (s *Sandbox) answerNames(netns string, stream net.Conn) {
	defer func() { _ = stream.Close() }()
	defer context.AfterFunc(s.life.ctx, func() { _ = stream.Close() })()
	var sending sync.Mutex
	var asking sync.WaitGroup
	defer asking.Wait()
	free := make(chan struct{}, maxQuestions)
	for {
		q, err := names.ReadQuestion(stream)
		if err != nil {
			if !s.life.over() {
				s.log.WithError(err).Warn("Docker's names of containers cannot be asked for in this pod any more")
			}
			return
		}
		free <- struct{}{}
		asking.Go(func() {
			defer func() { <-free }()
			answer := names.Answer{Number: q.Number, Message: s.askNames(netns, q)}
			sending.Lock()
			defer sending.Unlock()
			if answer.Write(stream) != nil {
				_ = stream.Close() // the reader notices
			}
		})
	}
}

// askNames asks the server on the host's side; no message is no answer.
func (s *Sandbox) askNames(netns string, q names.Question) []byte {
	ctx, cancel := s.life.during(s.life.ctx, timeouts.Answer)
	defer cancel()
	by := "udp"
	if q.TCP {
		by = "tcp"
	}
	conn, err := s.drivers.Network.Dial(ctx, netns, by, netip.AddrPortFrom(dockerNames(), names.Port))
	if err != nil {
		s.log.WithError(err).Debug("a name was not asked for")
		return nil
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	message, err := exchange(conn, q)
	if err != nil {
		s.log.WithError(err).Debug("a name was not answered for")
		return nil
	}
	return message
}

func exchange(conn net.Conn, q names.Question) ([]byte, error) {
	if q.TCP {
		if err := names.WriteMessage(conn, q.Message); err != nil {
			return nil, err
		}
		return names.ReadMessage(conn)
	}
	if _, err := conn.Write(q.Message); err != nil {
		return nil, err
	}
	message := make([]byte, 1<<16)
	count, err := conn.Read(message)
	return message[:count], err
}
