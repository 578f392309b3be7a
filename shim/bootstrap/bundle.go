// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/katapod/katapod/shim/podkind"
)

// Files that the shim keeps in the bundle of the container that began the pod.
const (
	// FileAddress holds the socket's address; containerd knows it by this name.
	// Containers within the pod have it too: containerd 1.7 finds the shim by it
	// when it was restarted, for each container apart.
	FileAddress = "address"
	// filePID holds the process id of the pod's shim.
	filePID = "shim.pid"
	// fileStateDir holds the directory of the pod's ledger.
	fileStateDir = "katapod.state-dir"
)

// sandboxController is part of the bundle's path when containerd starts the
// shim for its Sandbox API. Such a bundle has no config.json.
const sandboxController = "io.containerd.sandbox.controller.v1.shim"

// bundle is what start and delete need to know of an OCI bundle.
type bundle struct {
	dir string
	// sandboxAPI reports a bundle of containerd's sandbox controller.
	sandboxAPI bool
	kind       podkind.Kind
	pod        string
}

func readBundle(dir, id string) (bundle, error) {
	b := bundle{dir: dir, kind: podkind.Lone, pod: id}
	path := filepath.Join(dir, "config.json")
	content, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		b.kind = podkind.Sandbox
		b.sandboxAPI = true
		return b, nil
	case err != nil:
		return bundle{}, fmt.Errorf("read the OCI spec: %w", err)
	}
	b.sandboxAPI = strings.Contains(dir, sandboxController)
	var spec struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(content, &spec); err != nil {
		return bundle{}, fmt.Errorf("the OCI spec %s is not valid JSON: %w", path, err)
	}
	if b.kind, b.pod, err = podkind.Of(id, spec.Annotations); err != nil {
		return bundle{}, err
	}
	return b, nil
}

// write replaces a file of the bundle at once, so that no reader sees half.
func (b bundle) write(name, content string) error {
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// read returns a file of the bundle, "" when it is absent.
func (b bundle) read(name string) (string, error) {
	content, err := os.ReadFile(filepath.Join(b.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read what the shim left in its bundle: %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}

// shimPID returns the process id of the pod's shim, 0 when none was recorded.
func (b bundle) shimPID() (int, error) {
	text, err := b.read(filePID)
	if err != nil || text == "" {
		return 0, err
	}
	pid, err := strconv.Atoi(text)
	if err != nil || pid <= 1 {
		return 0, fmt.Errorf("%s holds %q, which is not a process id", filepath.Join(b.dir, filePID), text)
	}
	return pid, nil
}

// RecordStateDir remembers, in the bundle of the container that began the pod,
// where its ledger is, so that delete finds it without any configuration. It is
// called before the first entry of the ledger.
func RecordStateDir(bundleDir, stateDir string) error {
	return bundle{dir: bundleDir}.write(fileStateDir, stateDir)
}
