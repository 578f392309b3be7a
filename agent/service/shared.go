// SPDX-License-Identifier: Apache-2.0

package service

import (
	"errors"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/agent/storage"
)

// holdShared holds what the container uses of the share beside its storages, and
// returns what gives back both; see [storage.Hold]. What other containers may use
// as well is held until the pod ends.
func (s *Service) holdShared(id string, spec *specs.Spec, giveBack func() error) (func() error, error) {
	own, others := s.shared(id, spec)
	if _, err := storage.Hold(others); err != nil {
		return giveBack, err
	}
	letGo, err := storage.Hold(own)
	if err != nil {
		return giveBack, err
	}
	return func() error { return errors.Join(letGo(), giveBack()) }, nil
}

// shared lists the container's root and the sources of its mounts that are on
// the share. The names of those that are its own begin with its id.
func (s *Service) shared(id string, spec *specs.Spec) (own, others []string) {
	share := filepath.Join(s.Paths.Run, "shared", "containers") + "/"
	sources := []string{spec.Root.Path}
	for _, m := range spec.Mounts {
		sources = append(sources, m.Source)
	}
	for _, source := range sources {
		name, on := strings.CutPrefix(source, share)
		switch {
		case !on:
		case strings.HasPrefix(name, id+"/"), strings.HasPrefix(name, id+"-"):
			own = append(own, source)
		default:
			others = append(others, source)
		}
	}
	return own, others
}
