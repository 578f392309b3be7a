// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/timeouts"
)

// rpcChunk is how much one call carries. It is far below ttrpc's limit of 4 MiB
// per message, and a pipe in the guest holds 64 KiB.
const rpcChunk = 32 << 10

// rpcStreams serves an agent that does not announce stdio streams: each chunk
// is a call of its own.
func rpcStreams(a *agentClient, containerID, execID string, w wantedStreams) streams {
	var s streams
	if w.stdin {
		s.stdin = &rpcWriter{rpcStream: newRPCStream(a, containerID, execID)}
	}
	if w.stdout {
		s.stdout = &rpcReader{rpcStream: newRPCStream(a, containerID, execID), what: "read stdout", call: a.service.ReadStdout}
	}
	if w.stderr {
		s.stderr = &rpcReader{rpcStream: newRPCStream(a, containerID, execID), what: "read stderr", call: a.service.ReadStderr}
	}
	return s
}

// rpcStream is what both directions have in common.
type rpcStream struct {
	agent               *agentClient
	containerID, execID string
	closed              life // ends when the stream's owner closes it
}

func newRPCStream(a *agentClient, containerID, execID string) rpcStream {
	return rpcStream{agent: a, containerID: containerID, execID: execID, closed: newLife()}
}

// rpcReader reads the output of a process by calls.
type rpcReader struct {
	rpcStream
	what string
	call rpc[agentpb.ReadStreamRequest, agentpb.ReadStreamResponse]
}

// Read waits for output; no data is the end of the stream, and so is a process
// that the agent has forgotten.
func (r *rpcReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	resp, err := ask(r.closed.ctx, r.agent, r.what, 0, r.call, &agentpb.ReadStreamRequest{
		ContainerId: r.containerID, ExecId: r.execID, Len: uint32(min(len(p), rpcChunk)),
	})
	switch {
	case r.closed.over():
		return 0, os.ErrClosed
	case errdefs.IsNotFound(err), err == nil && len(resp.Data) == 0:
		return 0, io.EOF
	case err != nil:
		return 0, err
	case len(resp.Data) > len(p):
		return 0, fmt.Errorf("%s: the agent sent %d bytes where %d were asked for", r.what, len(resp.Data), len(p))
	}
	return copy(p, resp.Data), nil
}

// Close makes Read return; the process keeps its output.
func (r *rpcReader) Close() error {
	r.closed.end(os.ErrClosed)
	return nil
}

// rpcWriter writes the input of a process by calls.
type rpcWriter struct{ rpcStream }

// Write returns when the agent has taken all of p. It never sends an empty
// chunk, which would be the end of the input.
func (w *rpcWriter) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		chunk := p[written:min(len(p), written+rpcChunk)]
		resp, err := ask(w.closed.ctx, w.agent, "write stdin", 0, w.agent.service.WriteStdin, &agentpb.WriteStreamRequest{
			ContainerId: w.containerID, ExecId: w.execID, Data: chunk,
		})
		if w.closed.over() {
			return written, os.ErrClosed
		}
		if err != nil {
			return written, err
		}
		if resp.Len == 0 || int(resp.Len) > len(chunk) {
			return written, fmt.Errorf("write stdin: the agent took %d of %d bytes", resp.Len, len(chunk))
		}
		written += int(resp.Len)
	}
	return written, nil
}

// Close ends the process's input. A second call does nothing, and a process
// that is gone needs no end of input.
func (w *rpcWriter) Close() error {
	if w.closed.over() {
		return nil
	}
	w.closed.end(os.ErrClosed)
	_, err := ask(context.WithoutCancel(w.closed.ctx), w.agent, "close stdin", timeouts.Request, w.agent.service.CloseStdin,
		&agentpb.CloseStdinRequest{ContainerId: w.containerID, ExecId: w.execID})
	if errors.Is(err, errdefs.ErrNotFound) || errors.Is(err, errdefs.ErrUnavailable) {
		return nil
	}
	return err
}
