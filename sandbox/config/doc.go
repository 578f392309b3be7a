// SPDX-License-Identifier: Apache-2.0

// Package config reads the configuration of a sandbox: one TOML file with the
// keys that users of Kata Containers know, its config.d/*.toml drop-ins, and
// the pod's io.katacontainers.config.* annotations.
//
// The result is a value. It is read once per sandbox and never changes; what an
// annotation changes is a new value.
//
// Three rules hold for every key:
//
//   - a key that nobody knows is a warning that names file and key;
//   - a wrong value is an error that names file, key, value and what is allowed;
//   - a key that Kata users know, of a feature that this version does not have,
//     is accepted while it says "off" and is an error as soon as it asks for the
//     feature. Silence would be a lie.
package config
