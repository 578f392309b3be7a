// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/katapod/katapod/integration/node"
)

// showRemoval removes the pods and compares the node with what it was before the first of them.
func (d *demo) showRemoval() error {
	full, err := d.Inventory(d.ctx)
	if err != nil {
		return err
	}
	for _, p := range []podOnNode{d.first, d.second} {
		if err := d.check("crictl stopp, crictl rmp: pod "+p.Name, func() ([]string, error) {
			return nil, d.RemovePod(d.ctx, p.id)
		}); err != nil {
			return err
		}
	}
	return d.check("compare with the node before the first pod", func() ([]string, error) {
		left, err := d.WaitEmpty(d.ctx, d.empty)
		if err != nil {
			return nil, err
		}
		var facts []string
		for _, kind := range node.InventoryKinds() {
			facts = append(facts, fmt.Sprintf("%-14s %3d while the pods ran, %d left",
				kind, len(d.empty.Added(full)[kind]), len(left[kind])))
		}
		if len(left) > 0 {
			return facts, fmt.Errorf("left behind:\n%s", indent(left.String()))
		}
		return facts, nil
	})
}

func indent(text string) string { return "      " + strings.ReplaceAll(text, "\n", "\n      ") }
