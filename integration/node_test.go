// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"os"
	"strings"
	"testing"

	"github.com/katapod/katapod/integration/node"
)

// A node that a killed run left running is ended by the next run of its name; two at a time are refused.
func TestNodeIsTakenOver(t *testing.T) {
	ctx := begin(t)
	cache, err := node.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	options := node.Options{Name: "kpnode-over", Out: shared.Out, Cache: cache}
	first, err := node.Start(ctx, options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := node.Start(ctx, options); err == nil || !strings.Contains(err.Error(), "another run") {
		t.Errorf("a second node of the same name: %v", err)
	}
	old, err := first.Processes()
	if err != nil || len(old) < 2 {
		t.Fatalf("the node's processes are %v, error %v", old, err)
	}
	if err := first.Abandon(); err != nil {
		t.Fatal(err)
	}
	second, err := node.Start(ctx, options)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range old {
		if _, err := os.Stat("/proc/" + strings.Fields(p.String())[0] + "/exe"); err == nil {
			t.Errorf("the old node's process %s still runs", p)
		}
	}
	if err := second.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(second.Root); !os.IsNotExist(err) {
		t.Errorf("the stopped node's root is still there: %v", err)
	}
}
