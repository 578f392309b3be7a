// SPDX-License-Identifier: Apache-2.0

package qmp

import (
	"encoding/json"
	"fmt"
)

// Version is a QEMU version from the greeting.
type Version struct {
	Major, Minor, Micro int
	// Package is the distributor's suffix, often empty.
	Package string
}

// String renders the version as users know it, "7.2.22".
func (v Version) String() string {
	return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Micro)
}

// AtLeast reports whether v is major.minor or newer.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

// Event is something that QEMU reports by itself.
type Event struct {
	// Name is in capitals, for instance "DEVICE_DELETED".
	Name string
	// Data is the event's JSON object; empty when it carries none.
	Data json.RawMessage
}

// Error is QEMU's refusal of a command.
type Error struct {
	// Command is what was asked.
	Command string
	// Class is QEMU's error class, mostly "GenericError"; "DeviceNotFound" and
	// "CommandNotFound" say more.
	Class string
	// Desc is QEMU's sentence.
	Desc string
}

// Error names the command and repeats QEMU's sentence.
func (e *Error) Error() string {
	return fmt.Sprintf("QEMU refused %s: %s", e.Command, e.Desc)
}

type request struct {
	Execute   string `json:"execute"`
	Arguments any    `json:"arguments,omitempty"`
	ID        uint64 `json:"id"`
}

// message is anything QEMU may send; which field is set tells what it is.
type message struct {
	Greeting *struct {
		Version struct {
			QEMU struct {
				Major int `json:"major"`
				Minor int `json:"minor"`
				Micro int `json:"micro"`
			} `json:"qemu"`
			Package string `json:"package"`
		} `json:"version"`
	} `json:"QMP"`
	Event  string          `json:"event"`
	Data   json.RawMessage `json:"data"`
	ID     *uint64         `json:"id"`
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
}

func (m message) version() Version {
	q := m.Greeting.Version.QEMU
	return Version{Major: q.Major, Minor: q.Minor, Micro: q.Micro, Package: m.Greeting.Version.Package}
}
