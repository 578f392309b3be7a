// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

// FuzzOptions reads any options of a storage: what is no flag stays as it is, in
// order, and a value is taken out once.
func FuzzOptions(f *testing.F) {
	f.Add("ro,nosuid,size=2Mi,mode=1777", "rbind,rprivate")
	f.Add("rw,ro,,=,size=,size=18446744073709551615K", "size=9999999999999999999T")
	f.Add("lowerdir=/a:/b,upperdir=/c,workdir=/d", "")
	f.Fuzz(func(t *testing.T, first, second string) {
		o := parseOptions([]string{first, second})
		rest := first + "," + second
		for _, d := range o.data {
			_, after, found := strings.Cut(rest, d)
			if !found || d == "" || strings.Contains(d, ",") {
				t.Fatalf("%q is not of %q", d, first+","+second)
			}
			rest = after
		}
		before := len(o.data)
		v, found := o.value("size")
		if found != (len(o.data) == before-1) {
			t.Fatalf("%d options are left of %d", len(o.data), before)
		}
		if n, err := parseSize(v); err != nil && !errdefs.IsInvalidArgument(err) {
			t.Fatalf("size %q gave %d, %v", v, n, err)
		}
	})
}
