// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// standIn takes the place of a module that the proxy does not have, and of which a program needs no more than a type:
// a package of one file.
type standIn struct {
	module  string
	pkg     string // below the module
	content string // of the package's file
}

// put writes the module below the directory of the scratch module that the go tool works in, and leads to it.
func (s standIn) put(ctx context.Context, goTool Runner) error {
	name := filepath.Base(s.module)
	dir := filepath.Join(goTool.Dir, name)
	if err := os.MkdirAll(filepath.Join(dir, s.pkg), 0o755); err != nil {
		return fmt.Errorf("make a module in the place of %s: %w", s.module, err)
	}
	for file, text := range map[string]string{
		"go.mod":                          "module " + s.module + "\n\ngo 1.24\n",
		filepath.Join(s.pkg, s.pkg+".go"): s.content,
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			return fmt.Errorf("make a module in the place of %s: %w", s.module, err)
		}
	}
	_, err := goTool.Run(ctx, "go", "mod", "edit", "-replace", s.module+"=./"+name)
	return err
}
