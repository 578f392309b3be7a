// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/pelletier/go-toml/v2"
)

// valueError is for a value of the wrong type.
func valueError(file string, err error, keys map[string]any) error {
	source := "configuration file " + file
	var at *toml.DecodeError
	if !errors.As(err, &at) {
		return fmt.Errorf("%s: a value has the wrong type: %w: %w", source, err, errdefs.ErrInvalidArgument)
	}
	row, _ := at.Position()
	source = fmt.Sprintf("%s, line %d", source, row)
	key := strings.Join(at.Key(), ".")
	return problem{source: source, check: check{key: key, value: keys[key], allowed: allowedType(at.Key())}}
}

// allowedType says what type the value of a key has.
func allowedType(key []string) string {
	t := reflect.TypeFor[document]()
	for _, name := range key {
		if t = fieldType(t, name); t == nil {
			return "another type"
		}
	}
	switch t.Kind() {
	case reflect.String:
		return "text in quotes"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Slice:
		return "a list of texts"
	default:
		return "a section"
	}
}

// fieldType finds the field of a section by its key; nil if there is none.
func fieldType(t reflect.Type, name string) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for f := range t.Fields() {
		if f.Tag.Get("toml") == name {
			if f.Type.Kind() == reflect.Pointer {
				return f.Type.Elem()
			}
			return f.Type
		}
	}
	return nil
}
