// SPDX-License-Identifier: Apache-2.0

package spectest

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Host is the directory that the paths of the host in these specs are below.
const Host = "/host-only"

// FromBytes returns the spec that data stands for. It is nil for JSON that is
// none; data that do not begin with "{" stand for changes of [Valid].
func FromBytes(data []byte) *specs.Spec {
	if len(data) > 0 && data[0] == '{' {
		s := new(specs.Spec)
		if json.Unmarshal(data, s) != nil {
			return nil
		}
		return s
	}
	s := Valid()
	src := source{data}
	src.fill(reflect.ValueOf(s).Elem())
	return s
}

// Value fills any value of the specification's types, for the parts of it that
// requests carry.
func Value[T any](data []byte) T {
	var v T
	src := source{data}
	src.fill(reflect.ValueOf(&v).Elem())
	return v
}

// Valid is a small spec that a container can be made from.
func Valid() *specs.Spec {
	return &specs.Spec{
		Version: "1.2.0", Hostname: "web", Root: &specs.Root{Path: "rootfs"},
		Process: &specs.Process{Args: []string{"true"}, Cwd: "/"},
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{
			{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace},
			{Type: specs.MountNamespace}, {Type: specs.NetworkNamespace, Path: Host + "/netns"},
		}},
	}
}

// source hands out bytes, zeros once they are spent.
type source struct{ data []byte }

func (s *source) next() byte {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return b
}

// fill changes v as the bytes say. Zeros leave everything as it is, so that the
// end of the bytes is the end of the changes.
func (s *source) fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		s.fields(v)
	case reflect.Pointer:
		if s.next()%2 == 1 && v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		if !v.IsNil() {
			s.fill(v.Elem())
		}
	case reflect.Slice:
		s.elements(v)
	case reflect.Map:
		s.entries(v)
	case reflect.String:
		v.SetString(s.word())
	case reflect.Bool:
		v.SetBool(s.next()%2 == 1)
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(s.number())
	case reflect.Uint, reflect.Uint64, reflect.Uint32, reflect.Uint16, reflect.Uint8:
		v.SetUint(uint64(s.number()))
	}
}

// fields skips as many fields as a byte says, so that few bytes reach any.
func (s *source) fields(v reflect.Value) {
	for i := 0; i < v.NumField() && len(s.data) > 0; i++ {
		if skip := int(s.next() % 32); skip < v.NumField()-i {
			i += skip
			s.fill(v.Field(i))
		} else {
			return
		}
	}
}

// elements adds up to three.
func (s *source) elements(v reflect.Value) {
	for range s.next() % 4 {
		e := reflect.New(v.Type().Elem()).Elem()
		s.fill(e)
		v.Set(reflect.Append(v, e))
	}
}

func (s *source) entries(v reflect.Value) {
	for range s.next() % 4 {
		key, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		s.fill(key)
		s.fill(e)
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		v.SetMapIndex(key, e)
	}
}

// number is small, an edge, or what the bytes say.
func (s *source) number() int64 {
	edges := [...]int64{0, -1, 1 << 62, -1 << 63, 1<<31 - 1, 1 << 32, 4096, 8}
	if b := s.next(); b < 128 {
		return edges[int(b)%len(edges)]
	}
	return int64(s.next())<<8 | int64(s.next())
}

// word is a word that means something to somebody, or what the bytes say; always
// UTF-8, as strings of JSON and of protobuf are.
func (s *source) word() string {
	list := words()
	if b := int(s.next()); b < 200 {
		return list[b%len(list)]
	}
	n := min(int(s.next()%16), len(s.data))
	text := string(s.data[:n])
	s.data = s.data[n:]
	return strings.ToValidUTF8(text, "?")
}
