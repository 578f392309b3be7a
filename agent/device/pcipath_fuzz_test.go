// SPDX-License-Identifier: Apache-2.0

package device

import (
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

// FuzzPCIPath reads any place of a device: it is refused as invalid, or leads to devices of sysfs alone and is read
// from what it is written as.
func FuzzPCIPath(f *testing.F) {
	for _, s := range []string{"02", "02/00", "00/02/1f.7", "", "/", "../..", "2.8", "20", "+1/-1", "0x1/2", "00/01/02/03"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePCIPath(text)
		if err != nil {
			if !errdefs.IsInvalidArgument(err) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := ParsePCIPath(p.String())
		if err != nil || again.String() != p.String() {
			t.Fatalf("%q is %q and then %q, %v", text, p, again, err)
		}
		if dir, err := p.sysfs(t.TempDir()); err == nil || strings.Contains(err.Error(), "..") {
			t.Fatalf("%q leads to %q, %v", text, dir, err)
		}
	})
}
