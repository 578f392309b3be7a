// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/katapod/katapod/sandbox/config"
)

// TestKeysWithoutEffectSaySo: a key that the code reads nowhere says "No effect in
// this version" in the shipped file, and no other key does.
func TestKeysWithoutEffectSaySo(t *testing.T) {
	read := fieldsRead(t)
	meaning := map[string]string{}
	for _, s := range settings(t) {
		meaning[s.section+"."+s.key] = s.meaning
	}
	for section, fields := range sections(config.Default()) {
		name := fields.Type().Name()
		for i := range fields.NumField() {
			f := fields.Type().Field(i)
			key := section + "." + f.Tag.Get("toml")
			if f.Tag.Get("toml") == "-" {
				continue
			}
			silent := strings.Contains(meaning[key], "No effect in this version")
			if silent == read[name+"."+f.Name] {
				t.Errorf("%s: the code reads it: %v; configuration.toml says that it has no effect: %v", key, !silent, silent)
			}
		}
	}
}

// fieldsRead are the fields of the sections that the code of the host reads, as
// "Runtime.StateDir". What only loads, checks or changes a configuration does not
// count.
func fieldsRead(t *testing.T) map[string]bool {
	t.Helper()
	handling := []string{"annotation_setters.go", "config.go", "load.go", "validate.go"}
	read := map[string]bool{}
	for _, room := range []string{"cmd", "sandbox", "shim"} {
		err := filepath.WalkDir(filepath.Join("..", room), func(path string, d os.DirEntry, err error) error {
			isConfig := filepath.Base(filepath.Dir(path)) == "config"
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
				isConfig && slices.Contains(handling, d.Name()) {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err == nil {
				addFieldsRead(file, read)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return read
}

// addFieldsRead finds x.Runtime.Field, and v.Field where a function of the file has
// v := x.Runtime or a parameter or receiver v of that type.
func addFieldsRead(file *ast.File, read map[string]bool) {
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		aliases := parameters(f)
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for i, right := range n.Rhs {
					if left, ok := n.Lhs[i].(*ast.Ident); ok && isSection(last(right)) {
						aliases[left.Name] = last(right)
					}
				}
			case *ast.SelectorExpr:
				section := last(n.X)
				if id, ok := n.X.(*ast.Ident); ok {
					section = aliases[id.Name]
				}
				if isSection(section) {
					read[section+"."+n.Sel.Name] = true
				}
			}
			return true
		})
	}
}

// parameters are the parameters and the receiver that are sections.
func parameters(f *ast.FuncDecl) map[string]string {
	found := map[string]string{}
	lists := []*ast.FieldList{f.Type.Params}
	if f.Recv != nil {
		lists = append(lists, f.Recv)
	}
	for _, list := range lists {
		for _, p := range list.List {
			for _, name := range p.Names {
				found[name.Name] = last(p.Type)
			}
		}
	}
	return found
}

// last is the name that an expression ends in.
func last(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

func isSection(name string) bool { return name == "Hypervisor" || name == "Agent" || name == "Runtime" }
