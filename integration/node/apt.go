// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// apt fetches packages of Debian trixie, verified by apt with Debian's keys. It has lists, caches and sources of its
// own: the machine's packages are not changed.
type apt struct {
	options []string
}

// privateApt makes the state in a directory and fetches the lists. kind is "deb" for packages, "deb-src" for their
// sources.
func privateApt(ctx context.Context, state, kind string) (apt, error) {
	for _, d := range []string{"lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(state, d), 0o755); err != nil {
			return apt{}, fmt.Errorf("make apt's private state: %w", err)
		}
	}
	sources := kind + " [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main\n"
	for name, text := range map[string]string{"sources.list": sources, "status": ""} {
		if err := os.WriteFile(filepath.Join(state, name), []byte(text), 0o644); err != nil {
			return apt{}, fmt.Errorf("write apt's private state: %w", err)
		}
	}
	a := apt{options: []string{
		"-q", "-o", "Dir::State::Lists=" + state + "/lists", "-o", "Dir::Cache=" + state,
		"-o", "Dir::Cache::archives=" + state + "/archives", "-o", "Dir::State::status=" + state + "/status",
		"-o", "Dir::Etc::sourcelist=" + state + "/sources.list", "-o", "Dir::Etc::sourceparts=-",
		"-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none", "-o", "Acquire::Retries=3",
	}}
	return a, a.run(ctx, state, "update")
}

// run runs an apt-get command in the directory, which is where it puts what it downloads.
func (a apt) run(ctx context.Context, dir string, words ...string) error {
	_, err := Runner{Dir: dir}.Run(ctx, "apt-get", append(append([]string{}, a.options...), words...)...)
	return err
}
