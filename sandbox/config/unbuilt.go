// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
)

// unbuilt are the keys of upstream whose features this version lacks, with the
// values that do not ask for the feature. A nil list accepts any value: the key
// tunes a feature that another key switches on.
var unbuilt = map[string][]any{}

// refuse reports the first key of file, in alphabetical order, that asks for a
// feature or a section that this version does not have.
func (l *loader) refuse(file string, keys map[string]any) error {
	names := make([]string, 0, len(keys))
	for name := range keys {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := refuseKey(file, name, keys[name]); err != nil {
			return err
		}
	}
	return nil
}

func refuseKey(file, name string, value any) error {
	if section, ok := foreignSection(name); ok {
		return fmt.Errorf("configuration file %s: section %s is for a VMM that this version does not support; "+
			"use [hypervisor.qemu]: %w", file, section, errdefs.ErrNotImplemented)
	}
	allowed, known := unbuilt[name]
	if !known || allowed == nil {
		return nil
	}
	if slices.ContainsFunc(allowed, func(a any) bool { return reflect.DeepEqual(a, value) }) {
		return nil
	}
	return fmt.Errorf("configuration file %s: key %s = %v asks for a feature that this version does not support; "+
		"remove the key: %w", file, name, value, errdefs.ErrNotImplemented)
}

// foreignSection tells whether a key belongs to another VMM.
func foreignSection(name string) (string, bool) {
	parts := strings.SplitN(name, ".", 3)
	if len(parts) < 3 || parts[0] != "hypervisor" || parts[1] == "qemu" {
		return "", false
	}
	return "[hypervisor." + parts[1] + "]", true
}
