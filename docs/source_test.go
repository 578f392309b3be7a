// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// source is a parsed file of the project.
type source struct {
	path string // from the root
	set  *token.FileSet
	file *ast.File
	// commented are the lines on which there is a comment.
	commented map[int]bool
}

// line is where something is.
func (s source) line(n ast.Node) int { return s.set.Position(n.Pos()).Line }

// explained tells whether a comment stands beside or directly above something.
func (s source) explained(n ast.Node) bool {
	line := s.line(n)
	return s.commented[line] || s.commented[line-1]
}

// sources parses the files of some rooms, without tests, what only tests use, and
// generated code.
func sources(t *testing.T, rooms ...string) []source {
	t.Helper()
	var all []source
	for _, room := range rooms {
		err := filepath.WalkDir(filepath.Join("..", room), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (strings.HasSuffix(path, "test") && path != "../"+room || d.Name() == "testdata"):
				return filepath.SkipDir
			case !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"):
				return nil
			}
			s := source{path: strings.TrimPrefix(path, "../"), set: token.NewFileSet(), commented: map[int]bool{}}
			if s.file, err = parser.ParseFile(s.set, path, nil, parser.ParseComments|parser.SkipObjectResolution); err != nil {
				return err
			}
			if ast.IsGenerated(s.file) {
				return nil
			}
			for _, c := range s.file.Comments {
				for line := s.set.Position(c.Pos()).Line; line <= s.set.Position(c.End()).Line; line++ {
					s.commented[line] = true
				}
			}
			all = append(all, s)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < 10 {
		t.Fatalf("%v have only %d files", rooms, len(all))
	}
	return all
}

// selected is "pkg.Name" for a selector of a package, else "".
func selected(n ast.Node) string {
	s, ok := n.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if x, ok := s.X.(*ast.Ident); ok {
		return x.Name + "." + s.Sel.Name
	}
	return ""
}

// Each package's tests end with a look at what they left.
func TestEveryPackageLooksForLeaks(t *testing.T) {
	tests := map[string]bool{}
	for _, room := range []string{"agent", "cmd", "hypervisor", "network", "protocols", "sandbox", "shim"} {
		err := filepath.WalkDir(filepath.Join("..", room), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") || strings.Contains(path, "testdata") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			dir := filepath.Dir(path)
			tests[dir] = tests[dir] || strings.Contains(string(text), "leaktest.Main(m)") || strings.Contains(string(text), "TestMain(m *testing.M) { Main(m) }")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(tests) < 40 {
		t.Errorf("only %d packages have tests", len(tests))
	}
	for dir, looks := range tests {
		if !looks {
			t.Errorf("%s: add a main_test.go whose TestMain calls leaktest.Main", strings.TrimPrefix(dir, "../"))
		}
	}
}

// Who owns a goroutine and what ends it, and what a mutex guards, is written where
// it is made.
func TestGoroutinesAndMutexesAreExplained(t *testing.T) {
	for _, s := range sources(t, "agent", "cmd", "hypervisor", "network", "protocols", "sandbox", "shim") {
		group := 0 // the line after a goroutine that is explained: what begins there goes with it
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				if s.explained(n) || s.line(n) == group {
					group = s.set.Position(n.End()).Line + 1
				} else {
					t.Errorf("%s:%d: say in a line who owns this goroutine and what ends it", s.path, s.line(n))
				}
			case *ast.Field:
				if name := selected(n.Type); slices.Contains([]string{"sync.Mutex", "sync.RWMutex"}, name) && !s.explained(n) {
					t.Errorf("%s:%d: say in a line what this mutex guards, and when it may be taken", s.path, s.line(n))
				}
			}
			return true
		})
	}
}
