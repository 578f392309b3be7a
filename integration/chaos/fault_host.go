// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// removeNetNS takes the pod's network namespace away as somebody would who tidies up by hand.
func removeNetNS(ctx context.Context, c *cycle) error {
	path := c.netns()
	if path == "" {
		return errNoTarget
	}
	_, err := c.node.Runner().Run(ctx, "sh", "-c", `umount -l "$0" && rm -f "$0"`, path)
	return err
}

// removeTap deletes the TAP device under the VMM, as soon as it is there.
func removeTap(ctx context.Context, c *cycle) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		if tap := c.tap(); tap != "" {
			res, err := c.node.Runner().Try(ctx, "nsenter", "--net="+c.netns(), "ip", "link", "delete", tap)
			if err == nil && res.Code == 0 {
				return nil
			}
		}
		select {
		case <-c.over:
			return errNoTarget
		case <-ctx.Done():
			return errNoTarget
		case <-time.After(time.Millisecond):
		}
	}
}

// tap is the name of the pod's TAP device as the ledger has it, "" when it has none.
func (c *cycle) tap() (name string) {
	for _, line := range c.ledgerLines() {
		var entry struct {
			Op, Kind string
			Args     []string
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Op == "+" && entry.Kind == "tap" {
			name, _, _ = strings.Cut(entry.Args[1], "/")
		}
	}
	return name
}

// netns is the path of the pod's network namespace in the node, "" when the bundle does not say.
func (c *cycle) netns() string {
	text, err := os.ReadFile(filepath.Join(c.bundle(), "config.json"))
	if err != nil {
		return ""
	}
	var spec struct {
		Linux struct {
			Namespaces []struct{ Type, Path string }
		}
	}
	if json.Unmarshal(text, &spec) != nil {
		return ""
	}
	for _, ns := range spec.Linux.Namespaces {
		if ns.Type == "network" {
			return ns.Path
		}
	}
	return ""
}
