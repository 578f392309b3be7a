// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strings"
)

// isEngineFile tells the files that a CRI engine writes for a pod before any of its
// containers is made, and does not change while they run. What is copied to the
// guest serves as well as what is shared, and most pods need no share but for them.
// Docker and nerdctl rewrite theirs under running containers.
func isEngineFile(source string) bool {
	source = path.Clean(source)
	of := path.Base(path.Dir(path.Dir(source)))
	switch path.Base(source) {
	case "hostname", "hosts", "resolv.conf":
		// Of containerd's CRI plugin, and of the bundle in which the shim keeps
		// them for its Sandbox API.
		return of == "sandboxes" || strings.Contains(source, "/io.containerd.sandbox.controller.v1.shim/")
	case "etc-hosts":
		return of == "pods" // of kubelet
	}
	return false
}

// addEngineFile has the file copied once for the pod: its containers see the same
// file, and what one of them writes, as they would with a share. Those that map ids
// in another way see another.
func (p *planner) addEngineFile(m Mount) {
	ids := m.IDMap
	m.IDMap = IDMap{} // the copy has it
	sum := sha256.Sum256([]byte(path.Clean(m.Source) + "\x00" + ids.String()))
	place := path.Join(filesDir, hex.EncodeToString(sum[:4])+"-"+path.Base(m.Source))
	p.guest(m, "bind", place, m.Options)
	if slices.ContainsFunc(p.plan.Copies, func(c Copy) bool { return c.GuestPath == place }) {
		return
	}
	p.plan.Copies = append(p.plan.Copies, Copy{Source: m.Source, GuestPath: place, IDMap: ids, OfPod: true})
}
