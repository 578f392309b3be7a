// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/pelletier/go-toml/v2"
)

// maxFile bounds one configuration file, in bytes.
const maxFile = 1 << 20

// Load reads the file at path, lays the drop-ins beside it
// (config.d/*.toml, in alphabetical order) over it key by key, fills in the
// defaults and checks the values. Errors are errdefs.ErrInvalidArgument, or
// errdefs.ErrNotImplemented for a feature that this version does not have.
func Load(path string) (Config, error) {
	files := []string{path}
	drops, err := dropIns(filepath.Join(filepath.Dir(path), "config.d"))
	if err != nil {
		return Config{}, err
	}
	l := loader{config: Default(), origin: map[string]string{}}
	for _, file := range append(files, drops...) {
		if err := l.overlay(file); err != nil {
			return Config{}, err
		}
	}
	l.config.Path = path
	if err := l.validate(); err != nil {
		return Config{}, err
	}
	return l.config, nil
}

// dropIns lists the *.toml files of dir in alphabetical order; a dir that is
// absent has none.
func dropIns(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the configuration drop-ins: %w", err)
	}
	var files []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".toml") && !e.IsDir() {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(files)
	return files, nil
}

// document is the shape of a file.
type document struct {
	Hypervisor struct {
		QEMU *Hypervisor `toml:"qemu"`
	} `toml:"hypervisor"`
	Agent struct {
		Kata *Agent `toml:"kata"`
	} `toml:"agent"`
	Runtime *Runtime `toml:"runtime"`
	Factory *Factory `toml:"factory"`
}

// loader lays files over each other.
type loader struct {
	config Config
	// origin is the file that set a key last, by dotted key.
	origin map[string]string
}

// overlay lays one file over what is there.
func (l *loader) overlay(file string) error {
	data, err := readBounded(file)
	if err != nil {
		return err
	}
	var raw map[string]any
	if err := toml.Unmarshal(data, &raw); err != nil {
		return syntaxError(file, err)
	}
	keys := flatten(raw)
	if err := refuse(file, keys); err != nil {
		return err
	}
	for key := range keys {
		l.origin[key] = file
	}
	l.dropRivals(keys)
	return l.decode(file, data, keys)
}

// decode writes the keys of data into the configuration; the others keep their
// values.
func (l *loader) decode(file string, data []byte, keys map[string]any) error {
	next := l.config.clone()
	doc := document{Runtime: &next.Runtime, Factory: &next.Factory}
	doc.Hypervisor.QEMU, doc.Agent.Kata = &next.Hypervisor, &next.Agent
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(&doc)
	var missing *toml.StrictMissingError
	switch {
	case errors.As(err, &missing):
		for _, e := range missing.Errors {
			next.Warnings = append(next.Warnings, unknown(file, strings.Join(e.Key(), "."), keys)...)
		}
	case err != nil:
		return valueError(file, err, keys)
	}
	l.config = next
	return nil
}

// unknown returns a warning for each key at or below name, a key or a section
// that the decoder does not know, unless refuse knows it and found nothing wrong.
func unknown(file, name string, keys map[string]any) []string {
	known := unbuilt()
	var warnings []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if _, ok := known[key]; !ok && (key == name || strings.HasPrefix(key, name+".")) {
			warnings = append(warnings, fmt.Sprintf("configuration file %s: unknown key %s is ignored", file, key))
		}
	}
	return warnings
}

// dropRivals lets an initrd set by a file take the place of an image set by an
// earlier one or by default, and the other way round.
func (l *loader) dropRivals(keys map[string]any) {
	initrd, image := names(keys[keyInitrd]), names(keys[keyImage])
	switch {
	case initrd && !image:
		l.config.Hypervisor.Image = ""
	case image && !initrd:
		l.config.Hypervisor.Initrd = ""
	}
}

// names tells whether a value names a file; an empty one takes nobody's place.
func names(value any) bool { return value != nil && value != "" }

const (
	keyInitrd = "hypervisor.qemu.initrd"
	keyImage  = "hypervisor.qemu.image"
)

func readBounded(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("configuration file %s has %d bytes, more than the %d allowed: %w",
			file, info.Size(), maxFile, errdefs.ErrInvalidArgument)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return data, nil
}

// flatten turns nested tables into dotted keys.
func flatten(tables map[string]any) map[string]any {
	flat := map[string]any{}
	for key, value := range tables {
		table, ok := value.(map[string]any)
		if !ok {
			flat[key] = value
			continue
		}
		for sub, v := range flatten(table) {
			flat[key+"."+sub] = v
		}
	}
	return flat
}

// syntaxError is for a file that is not TOML.
func syntaxError(file string, err error) error {
	var at *toml.DecodeError
	if errors.As(err, &at) {
		row, column := at.Position()
		return fmt.Errorf("configuration file %s, line %d, column %d: not valid TOML: %s: %w",
			file, row, column, strings.TrimPrefix(at.Error(), "toml: "), errdefs.ErrInvalidArgument)
	}
	return fmt.Errorf("configuration file %s is not valid TOML: %w: %w", file, err, errdefs.ErrInvalidArgument)
}
