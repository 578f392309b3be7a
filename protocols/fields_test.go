// SPDX-License-Identifier: Apache-2.0

package protocols_test

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/typespb"
)

// wire maps "message grpc.X", "enum grpc.X" or "service grpc.X" to its lines.
type wire map[string][]string

// readTable reads the contract, which was written down apart from the .proto
// files: neither may be made from the other.
func readTable(t *testing.T) wire {
	t.Helper()
	f, err := os.Open("testdata/wire.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, section := wire{}, ""
	for s := bufio.NewScanner(f); s.Scan(); {
		line := s.Text()
		switch {
		case line == "", strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "  "):
			table[section] = append(table[section], strings.TrimSpace(line))
		default:
			section = line
			table[section] = nil
		}
	}
	return table
}

// generated describes the generated code in the table's words.
func generated() wire {
	w := wire{}
	for _, file := range []protoreflect.FileDescriptor{
		agentpb.File_agent_proto, agentpb.File_csi_proto, agentpb.File_health_proto,
		agentpb.File_oci_proto, typespb.File_types_proto,
	} {
		w.enums(file.Enums())
		w.messages(file.Messages())
		for i := range file.Services().Len() {
			w.service(file.Services().Get(i))
		}
	}
	return w
}

func (w wire) enums(list protoreflect.EnumDescriptors) {
	for i := range list.Len() {
		e := list.Get(i)
		lines := []string{}
		for j := range e.Values().Len() {
			v := e.Values().Get(j)
			lines = append(lines, fmt.Sprintf("%d %s", v.Number(), v.Name()))
		}
		w["enum "+string(e.FullName())] = lines
	}
}

func (w wire) messages(list protoreflect.MessageDescriptors) {
	for i := range list.Len() {
		m := list.Get(i)
		if m.IsMapEntry() {
			continue
		}
		w.enums(m.Enums())
		w.messages(m.Messages())
		var lines []string
		for j := range m.Fields().Len() {
			lines = append(lines, describe(m.Fields().Get(j)))
		}
		w["message "+string(m.FullName())] = lines
	}
}

func (w wire) service(s protoreflect.ServiceDescriptor) {
	var lines []string
	for i := range s.Methods().Len() {
		m := s.Methods().Get(i)
		line := fmt.Sprintf("%s %s %s", m.Name(), m.Input().FullName(), m.Output().FullName())
		if m.IsStreamingClient() || m.IsStreamingServer() {
			line += " stream"
		}
		lines = append(lines, line)
	}
	w["service "+string(s.FullName())] = lines
}

func describe(f protoreflect.FieldDescriptor) string {
	line := fmt.Sprintf("%d %s ", f.Number(), f.Name())
	switch {
	case f.IsMap():
		return line + fmt.Sprintf("map<%s,%s>", typeOf(f.MapKey()), typeOf(f.MapValue()))
	case f.IsList():
		return line + "repeated " + typeOf(f)
	case f.HasOptionalKeyword():
		return line + "optional " + typeOf(f)
	case f.ContainingOneof() != nil:
		return line + typeOf(f) + " oneof " + string(f.ContainingOneof().Name())
	}
	return line + typeOf(f)
}

func typeOf(f protoreflect.FieldDescriptor) string {
	switch {
	case f.Message() != nil:
		return string(f.Message().FullName())
	case f.Enum() != nil:
		return string(f.Enum().FullName())
	}
	return f.Kind().String()
}

// TestWireContract pins every number, name and type, both ways: nothing may be
// missing, and nothing of our own may sit among upstream's numbers.
func TestWireContract(t *testing.T) {
	want, got := readTable(t), generated()
	if len(want) < 100 {
		t.Fatalf("the table has %d entries only", len(want))
	}
	for name, lines := range want {
		have, ok := got[name]
		if !ok {
			t.Errorf("%s is not generated", name)
			continue
		}
		slices.Sort(lines)
		slices.Sort(have)
		for _, l := range lines {
			if !slices.Contains(have, l) {
				t.Errorf("%s has no %q", name, l)
			}
		}
		for _, l := range have {
			if !slices.Contains(lines, l) {
				t.Errorf("%s has %q, which is not in the contract", name, l)
			}
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is not in the contract", name)
		}
	}
}
