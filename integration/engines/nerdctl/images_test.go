// SPDX-License-Identifier: Apache-2.0

package nerdctl

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/katapod/katapod/integration/engines/engine"
	"github.com/katapod/katapod/integration/images"
	"github.com/katapod/katapod/integration/leaktest"
	"github.com/katapod/katapod/integration/node"
	"github.com/katapod/katapod/integration/registry"
)

// pulled is an image that is in the node's registry only.
const pulled = "registry.example.com/probe:1"

// testImages loads an archive and pulls from a registry, and runs what was pulled.
func testImages(t *testing.T, n nerdctl) {
	if got := n.run(t, "load", "--input", n.Archive); !strings.Contains(got, images.Busybox) {
		t.Errorf("load said %q", got)
	}
	serve(t, n.Engine)
	n.run(t, "pull", "--quiet", pulled)
	if got := n.run(t, append(n.container("--rm"), pulled, "/probe", "euid")...); !strings.Contains(got, "uid: 0") {
		t.Errorf("a container of the pulled image printed %q", got)
	}
	n.run(t, "rmi", pulled)
	n.WantNothingLeft(t)
}

// serve puts a registry with the image into the node until the test ends.
func serve(t *testing.T, e *engine.Engine) {
	t.Helper()
	probe, err := os.ReadFile(filepath.Join(e.Out, "engines", e.Name(), "probe"))
	if err != nil {
		t.Fatal(err)
	}
	content, err := registry.New(images.Image{
		Name:   pulled,
		Files:  []images.File{{Path: "probe", Mode: 0o755, Data: probe}},
		Config: v1.ImageConfig{Cmd: []string{"/probe"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := e.Listen(t.Context(), node.Registry)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: content}
	done := make(chan struct{})
	go func() {
		_ = server.Serve(listener) // it ends by Close
		close(done)
	}()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		leaktest.Receive(t, done)
	})
}
