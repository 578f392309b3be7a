// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"maps"
	"slices"
)

// Annotations returns the names of all annotations that
// [Config.WithAnnotations] knows, sorted.
func Annotations() []string { return slices.Sorted(maps.Keys(annotationSetters())) }

// UnbuiltKey is a key that Kata users know, of a feature that this version lacks.
type UnbuiltKey struct {
	// Key is dotted, for instance "hypervisor.qemu.rootless".
	Key string
	// Accepted are the values, in TOML's notation, that do not ask for the
	// feature. None at all means that any value is accepted, since another key
	// switches the feature on.
	Accepted []string
}

// Unbuilt returns all such keys, sorted.
func Unbuilt() []UnbuiltKey {
	known := unbuilt()
	var all []UnbuiltKey
	for _, key := range slices.Sorted(maps.Keys(known)) {
		k := UnbuiltKey{Key: key}
		for _, value := range known[key] {
			k.Accepted = append(k.Accepted, inTOML(value))
		}
		all = append(all, k)
	}
	return all
}

// inTOML writes a value of [off].
func inTOML(value any) string {
	switch v := value.(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case []any:
		return "[]"
	default:
		return fmt.Sprint(v)
	}
}
