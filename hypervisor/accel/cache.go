// SPDX-License-Identifier: Apache-2.0

package accel

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// cache keeps a finding for as long as the machine is up.
type cache struct{ dir, bootID string }

const cacheFile = "accelerator.json"

type record struct {
	BootID string `json:"boot_id"`
	Finding
}

// load returns what this boot has found out, if anything readable.
func (c cache) load() (Finding, bool) {
	boot, err := c.boot()
	if err != nil {
		return Finding{}, false
	}
	b, err := os.ReadFile(filepath.Join(c.dir, cacheFile))
	if err != nil {
		return Finding{}, false
	}
	var r record
	if json.Unmarshal(b, &r) != nil || r.BootID != boot {
		return Finding{}, false
	}
	switch r.Verdict {
	case Native, Interpreted, Unusable:
		return r.Finding, true
	}
	return Finding{}, false
}

// store replaces the file in one step, since several shims may start at once.
func (c cache) store(f Finding) error {
	boot, err := c.boot()
	if err != nil {
		return err
	}
	b, err := json.Marshal(record{BootID: boot, Finding: f})
	if err != nil {
		return fmt.Errorf("encode the verdict about KVM: %w", err)
	}
	if err := os.MkdirAll(c.dir, 0o711); err != nil {
		return fmt.Errorf("keep the verdict about KVM: %w", err)
	}
	tmp, err := os.CreateTemp(c.dir, cacheFile+".*")
	if err != nil {
		return fmt.Errorf("keep the verdict about KVM: %w", err)
	}
	_, err = tmp.Write(b)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(c.dir, cacheFile))
	}
	if err != nil {
		return fmt.Errorf("keep the verdict about KVM: %w", errors.Join(err, os.Remove(tmp.Name())))
	}
	return nil
}

func (c cache) boot() (string, error) {
	b, err := os.ReadFile(c.bootID)
	if err != nil {
		return "", fmt.Errorf("read the id of this boot: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}
