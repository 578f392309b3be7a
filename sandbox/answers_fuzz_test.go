// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/guard"
)

// FuzzAnswers has a guest answer every call that the pod makes with anything, and then
// say anything. Each call ends with an answer or an error of bounded text, and the
// connection's end is told.
func FuzzAnswers(f *testing.F) {
	encode := func(m proto.Message) []byte {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		return b
	}
	for _, m := range []proto.Message{
		&agentpb.HealthCheckResponse{Status: agentpb.HealthCheckResponse_SERVING},
		&agentpb.GuestDetailsResponse{AgentDetails: &agentpb.AgentDetails{Version: "1", ExtraFeatures: []string{"katapod.stdio-streams"}}, MemBlockSizeBytes: 128 << 20},
		&agentpb.StatsContainerResponse{CgroupStats: &agentpb.CgroupStats{PidsStats: &agentpb.PidsStats{Current: 3}}},
		&agentpb.WaitProcessResponse{Status: -7}, &agentpb.OOMEvent{ContainerId: "c1"}, &agentpb.ReadStreamResponse{Data: []byte("hello")},
	} {
		f.Add(encode(&ttrpc.Response{Payload: encode(m)}), byte(2), []byte{})
	}
	f.Add([]byte("\n\x05\b\x05\x12\x01x"), byte(2), []byte("\x00\x00\x00\x00\x00\x00\x00\x01\x02\x00"))
	f.Add([]byte("\xff\xff"), byte(3), []byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, answer []byte, kind byte, rest []byte) {
		if len(answer) > guard.MaxAnswer {
			return
		}
		host, far := net.Pipe()
		l := newLife()
		lost := make(chan struct{}, 16)
		a := newAgentClient(host, l, func(error) {
			select {
			case lost <- struct{}{}:
			default:
			}
		})
		go answerAll(far, answer, kind, rest)
		ctx := t.Context()
		limit := time.Minute
		began := time.Now()
		var errs []error
		note := func(_ any, err error) { errs = append(errs, err) }
		note(ask(ctx, a, "check", limit, a.health.Check, &agentpb.CheckRequest{}))
		note(nil, a.learnFeatures(ctx))
		note(ask(ctx, a, "stats", limit, a.service.StatsContainer, &agentpb.StatsContainerRequest{}))
		note(ask(ctx, a, "wait", limit, a.service.WaitProcess, &agentpb.WaitProcessRequest{}))
		note(a.nextOOM())
		out := rpcStreams(a, "c", "e", wantedStreams{stdin: true, stdout: true})
		note(out.stdin.Write([]byte("abc")))
		note(out.stdout.Read(make([]byte, 3)))
		out.close()
		for _, err := range errs {
			if err != nil && len(err.Error()) > 4*guard.MaxText {
				t.Fatalf("an error has %d bytes", len(err.Error()))
			}
		}
		a.close()
		_ = far.Close()
		leaktest.Receive(t, lost)
		l.end(errStopped)
		if took := time.Since(began); took > limit/2 {
			t.Fatalf("the calls took %s", took)
		}
	})
}

// answerAll answers each request with the bytes, and says the rest after the last.
func answerAll(far net.Conn, answer []byte, kind byte, rest []byte) {
	defer far.Close()
	for calls := 0; calls < 6; calls++ {
		var head [10]byte
		if _, err := io.ReadFull(far, head[:]); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, far, int64(binary.BigEndian.Uint32(head[:]))); err != nil {
			return
		}
		frame := binary.BigEndian.AppendUint32(nil, uint32(len(answer)))
		frame = append(append(frame, head[4:8]...), kind, 0)
		if _, err := far.Write(append(frame, answer...)); err != nil {
			return
		}
	}
	_, _ = far.Write(rest)
}
