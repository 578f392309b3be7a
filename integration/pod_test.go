// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/interrupt"
	"github.com/katapod/katapod/integration/node"
)

// pod is a pod of a test, removed at the test's end.
type pod struct {
	t    *testing.T
	ctx  context.Context
	spec node.Pod
	id   string
}

// startPod runs a pod with the runtime under test and checks at the end of the test that it can be removed.
func startPod(t *testing.T, spec node.Pod) *pod {
	t.Helper()
	p := &pod{t: t, ctx: begin(t), spec: spec}
	if p.spec.Handler == "" {
		p.spec.Handler = shared.runtime
	}
	id, err := shared.RunPod(p.ctx, p.spec)
	if err != nil {
		t.Fatal(err)
	}
	p.id = id
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		if err := shared.RemovePod(ctx, id); err != nil {
			t.Error(err)
		}
	})
	return p
}

// start creates and starts a container of the pod; its image is busybox when it names none.
func (p *pod) start(c node.Container) string {
	p.t.Helper()
	if c.Image == "" {
		c.Image = images.Busybox
	}
	id, err := shared.StartContainer(p.ctx, p.id, p.spec, c)
	if err != nil {
		p.t.Fatal(err)
	}
	return id
}

// exec runs a command in the container and returns its output; the command has to succeed.
func (p *pod) exec(container string, args ...string) string {
	p.t.Helper()
	out, err := shared.Crictl(p.ctx, append([]string{"exec", container}, args...)...)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// containerStatus is what CRI says of a container.
type containerStatus struct {
	State    string
	ExitCode int
	Reason   string
}

func (p *pod) status(id string) containerStatus {
	p.t.Helper()
	var inspected struct{ Status containerStatus }
	if err := shared.CrictlJSON(p.ctx, &inspected, "inspect", id); err != nil {
		p.t.Fatal(err)
	}
	return inspected.Status
}

func (p *pod) state(id string) string { p.t.Helper(); return p.status(id).State }

func (p *pod) exitCode(id string) int { p.t.Helper(); return p.status(id).ExitCode }

func (p *pod) waitExited(id string) {
	p.t.Helper()
	waitFor(p.t, soon, "the end of a container", func() bool { return p.state(id) == "CONTAINER_EXITED" })
}

// waitLog waits until the text stands in the container's log.
func (p *pod) waitLog(container, text string) {
	p.t.Helper()
	path := filepath.Join(shared.PodLogs(), p.spec.Name, container+".log")
	waitFor(p.t, soon, text+" in "+path, func() bool {
		log, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(log), text)
	})
}

// soon bounds what comes at once on a machine that is not busy.
const soon = 2 * time.Minute

// waitFor asks again and again, at first after a millisecond, until the condition holds: CRI has no call that waits.
func waitFor(t *testing.T, most time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(most)
	for wait := time.Millisecond; !holds(); wait = min(2*wait, 100*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain for %s", most, what)
		}
		select {
		case <-time.After(wait):
		case <-shared.interrupted.Done():
			t.Fatalf("waiting for %s: %v", what, interrupt.ErrInterrupted)
		}
	}
}

func joinPort(address string, port int) string { return net.JoinHostPort(address, strconv.Itoa(port)) }

func sha256sum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// number reads a number that CRI's JSON gives as a string.
func number(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
