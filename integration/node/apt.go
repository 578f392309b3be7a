// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// apt fetches packages of Debian, verified by apt with Debian's keys. It has lists, caches and sources of its own: the
// machine's packages are not changed.
type apt struct {
	options []string
}

// debianKeys are what apt verifies Debian's lists with.
const debianKeys = "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg"

// mirror is a line of apt's sources that leads to a Debian suite: kind is "deb" for packages, "deb-src" for their
// sources. $KATAPOD_DEBIAN_MIRROR names another mirror than Debian's own.
func mirror(kind, suite string) string {
	address := os.Getenv("KATAPOD_DEBIAN_MIRROR")
	if address == "" {
		address = "http://deb.debian.org/debian"
	}
	return fmt.Sprintf("%s [%s] %s %s main\n", kind, debianKeys, address, suite)
}

// snapshot is a line of apt's sources that leads to a Debian suite as it was at a moment: mirrors forget versions,
// the snapshot archive does not. moment is written as in its addresses, 20061231T235959Z.
func snapshot(suite, moment string) string {
	return fmt.Sprintf("deb [%s check-valid-until=no] http://snapshot.debian.org/archive/debian/%s %s main\n", debianKeys, moment, suite)
}

// privateApt makes the state in a directory and fetches the lists of the source.
func privateApt(ctx context.Context, state, source string) (apt, error) {
	for _, d := range []string{"lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(state, d), 0o755); err != nil {
			return apt{}, fmt.Errorf("make apt's private state: %w", err)
		}
	}
	for name, text := range map[string]string{"sources.list": source, "status": ""} {
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
