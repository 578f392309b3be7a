// SPDX-License-Identifier: Apache-2.0

package config

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"
)

// namespaceMark stands between a sandbox's id and its namespace in the name of a
// directory. Neither can contain it.
const namespaceMark = "@"

// SandboxesDir holds the directories of all sandboxes.
func (r Runtime) SandboxesDir() string { return filepath.Join(r.StateDir, "sbs") }

// SandboxDir is where the sandbox id of containerd's namespace keeps its state.
// Engines choose ids each in a namespace of its own, so equal ids may run at once.
// The id comes first, since people look for it.
func (r Runtime) SandboxDir(namespace, id string) string {
	return filepath.Join(r.SandboxesDir(), id+namespaceMark+namespace)
}

// SplitSandboxDir is the opposite of SandboxDir. The namespace of a directory that
// does not tell one is empty.
func SplitSandboxDir(dir string) (namespace, id string) {
	id, namespace, _ = strings.Cut(filepath.Base(dir), namespaceMark)
	return namespace, id
}

// VMDir is where the VM of that sandbox keeps its sockets. It is short, since the
// path of a unix socket is limited to 107 bytes: the beginning of the id, for
// people, and a hash of the whole.
func (r Runtime) VMDir(namespace, id string) string {
	sum := sha256.Sum256([]byte(id + namespaceMark + namespace))
	return filepath.Join(r.StateDir, "vm", id[:min(len(id), 8)]+"-"+hex.EncodeToString(sum[:4]))
}

// FailuresDir holds the last reports of pods that failed, see package failure.
func (r Runtime) FailuresDir() string { return filepath.Join(r.StateDir, "failures") }
