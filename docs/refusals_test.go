// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/sandbox/config"
	"github.com/katapod/katapod/sandbox/spec"
	"github.com/katapod/katapod/sandbox/storage"
	"github.com/katapod/katapod/shim/pod"
	"github.com/katapod/katapod/shim/task"
)

// TestRefusalsByName asks the code for things that it refuses and shows its
// answers.
func TestRefusalsByName(t *testing.T) {
	_, checkpoint := (&task.Service{}).Checkpoint(context.Background(), &taskapi.CheckpointTaskRequest{ID: "c1"})
	var rows [][]string
	for _, r := range []struct {
		asked string
		err   error
	}{
		{"the host's network (`hostNetwork: true`, `--net-host`)", pod.ErrHostNetwork},
		{"the host's processes (`docker run --pid=host`)", pod.ErrHostPID},
		{"the host's IPC (`hostIPC: true`, `docker run --ipc=host`)", pod.ErrHostIPC},
		{"the host's name (`docker run --uts=host`)", pod.ErrHostUTS},
		{"another container's (`docker run --pid=container:NAME`, `--ipc=container:NAME`)", pod.ErrOtherContainer},
		{"an AppArmor profile of one's own", guestSpec(func(s *specs.Spec) { s.Process.ApparmorProfile = "mine" })},
		{"an SELinux label, with `disable_guest_selinux = false`", guestSpec(func(s *specs.Spec) { s.Process.SelinuxLabel = "a:b:c:d" })},
		{"a socket of the host", mount("/run/x.sock", storage.Socket)},
		{"a character device of the host as a mount", mount("/dev/kvm", storage.CharDevice)},
		{"a FIFO of the host", mount("/fifo", storage.Other)},
		{"all of the host's `/dev`", mount("/dev", storage.Directory)},
		{"a file system that neither side mounts", plan(storage.Mount{Type: "nfs", Source: "server:/x", Destination: "/x"})},
		{"a checkpoint", checkpoint},
	} {
		if !errdefs.IsNotImplemented(r.err) {
			t.Errorf("%s: error %v is of another kind", r.asked, r.err)
			continue
		}
		rows = append(rows, []string{r.asked, answer(r.err)})
	}
	holds(t, "support.md", "refusals", table([]string{"Asked for", "Answer"}, rows))
}

// answer is an error without its kind.
func answer(err error) string {
	text, _ := strings.CutSuffix(err.Error(), ": "+errdefs.ErrNotImplemented.Error())
	return text
}

// guestSpec changes a plain spec and translates it.
func guestSpec(change func(*specs.Spec)) error {
	s := &specs.Spec{
		Process: &specs.Process{Args: []string{"true"}, Cwd: "/"},
		Root:    &specs.Root{Path: "rootfs"},
		Linux:   &specs.Linux{},
	}
	for _, kind := range []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.MountNamespace} {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: kind})
	}
	change(s)
	_, err := spec.ToGuest(s, spec.Env{ContainerID: "c1", RootPath: "/root"})
	return err
}

func mount(source string, kind storage.Kind) error {
	_, err := storage.PlanMounts("c1", []storage.Mount{{Type: "bind", Source: source, Destination: "/x", Options: []string{"rbind"}}},
		hostFiles{source: kind}, storage.Capabilities{DiskHotplug: true, SharedFS: true})
	return err
}

func plan(m storage.Mount) error {
	_, err := storage.PlanMounts("c1", []storage.Mount{m}, hostFiles{}, storage.Capabilities{DiskHotplug: true, SharedFS: true})
	return err
}

// The plain spec itself is fine: what is refused above is the change.
func TestPlainSpecIsAccepted(t *testing.T) {
	if err := guestSpec(func(*specs.Spec) {}); err != nil {
		t.Error(err)
	}
	if !config.Default().Hypervisor.DisableGuestSELinux {
		t.Error("SELinux labels are refused by default now; the page says otherwise")
	}
}

func TestFieldsOfTheSpecification(t *testing.T) {
	holds(t, "support.md", "spec-refused", fields(spec.Refused()))
	holds(t, "support.md", "spec-noop", fields(spec.NoOp()))
}

func fields(names []string) string {
	return code(strings.Join(names, "`, `"))
}

// TestInterfacesThatAreRefused reads the switch that names them.
func TestInterfacesThatAreRefused(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../network/kind.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	ast.Inspect(file, func(n ast.Node) bool {
		f, ok := n.(*ast.FuncDecl)
		if !ok || f.Name.Name != "instead" {
			return true
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if c, ok := n.(*ast.CaseClause); ok {
				rows = append(rows, []string{kinds(c.List), text(c.Body[0].(*ast.ReturnStmt).Results[0])})
			}
			return true
		})
		return false
	})
	if len(rows) < 5 {
		t.Fatalf("network/kind.go names only %d kinds: is the function instead still there?", len(rows))
	}
	holds(t, "support.md", "interfaces", table([]string{"Kind", "Instead"}, rows))
}

// kinds are the values of a case; none is the default.
func kinds(values []ast.Expr) string {
	if len(values) == 0 {
		return "any other"
	}
	var names []string
	for _, v := range values {
		names = append(names, code(text(v)))
	}
	return strings.Join(names, ", ")
}

// text is the value of a literal.
func text(e ast.Expr) string {
	if literal, ok := e.(*ast.BasicLit); ok {
		if s, err := strconv.Unquote(literal.Value); err == nil {
			return s
		}
	}
	return ""
}
