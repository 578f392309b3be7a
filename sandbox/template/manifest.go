// SPDX-License-Identifier: Apache-2.0

package template

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/errdefs"

	"github.com/katapod/katapod/hypervisor"
)

// Names of a template's files.
const (
	memoryFile   = "memory"
	stateFile    = "state"
	manifestFile = "manifest.json"
)

// maxState bounds what is read of a state file at each use, in bytes. A state is
// a few hundred KiB.
const maxState = 16 << 20

// manifest is the form of manifest.json.
type manifest struct {
	Key   Key         `json:"key"`
	Made  time.Time   `json:"made"`
	From  ingredients `json:"from"`
	Files []file      `json:"files"`
}

// file is one file of a template with its digest and how it looked when the
// digest was taken; its path is relative.
type file struct {
	identity
	SHA256 string `json:"sha256"`
}

// snapshotIn is the saved VM in the directory of a template.
func snapshotIn(dir string) hypervisor.Snapshot {
	return hypervisor.Snapshot{Memory: filepath.Join(dir, memoryFile), State: filepath.Join(dir, stateFile)}
}

// seal makes the files of dir read-only and writes their manifest.
func seal(ctx context.Context, dir string, key Key, from ingredients) error {
	m := manifest{Key: key, Made: time.Now(), From: from}
	for _, name := range []string{memoryFile, stateFile} {
		path := filepath.Join(dir, name)
		if err := os.Chmod(path, 0o400); err != nil {
			return fmt.Errorf("protect a template: %w", err)
		}
		sum, err := digest(ctx, path)
		if err != nil {
			return err
		}
		id, err := identify(path)
		if err != nil {
			return err
		}
		id.Path = name
		m.Files = append(m.Files, file{id, sum})
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("describe a template: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, manifestFile), append(text, '\n'), 0o400); err != nil {
		return fmt.Errorf("describe a template: %w", err)
	}
	return nil
}

// readManifest reads that of the template in dir; none is errdefs.ErrNotFound.
func readManifest(dir string) (manifest, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return manifest{}, fmt.Errorf("there is no template in %s: %w", dir, errdefs.ErrNotFound)
	}
	if err != nil {
		return manifest{}, fmt.Errorf("read a template's manifest: %w", err)
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return manifest{}, fmt.Errorf("the manifest of the template in %s: %w: %w", dir, err, errdefs.ErrDataLoss)
	}
	return m, nil
}

// check compares the files of dir with the manifest: those that are small enough,
// or all with whole, by digest. A difference is errdefs.ErrDataLoss.
func (m manifest) check(ctx context.Context, dir string, whole bool) error {
	if len(m.Files) != 2 {
		return fmt.Errorf("the manifest of the template in %s does not name two files: %w", dir, errdefs.ErrDataLoss)
	}
	for _, f := range m.Files {
		path := filepath.Join(dir, filepath.Base(f.Path))
		now, err := identify(path)
		if err != nil {
			return err
		}
		now.Path = f.Path
		if now != f.identity {
			return fmt.Errorf("the template's file %s was changed since it was made: %w", path, errdefs.ErrDataLoss)
		}
		if !whole && f.Size > maxState {
			continue
		}
		sum, err := digest(ctx, path)
		if err != nil {
			return err
		}
		if sum != f.SHA256 {
			return fmt.Errorf("the template's file %s has another digest than when it was made: %w", path, errdefs.ErrDataLoss)
		}
	}
	return nil
}
