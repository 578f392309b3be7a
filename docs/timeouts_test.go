// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"go/ast"
	"go/token"
	"maps"
	"slices"
	"strings"
	"testing"
)

// hostRooms are the rooms of the host side; the transport is of both sides.
func hostRooms() []string { return []string{"cmd", "hypervisor", "network", "sandbox", "shim"} }

// Times are in package timeouts, each with its reason. A literal times a unit
// anywhere else is one that has none. Units alone convert what somebody configured.
func TestTimesAreInOnePlace(t *testing.T) {
	for _, s := range sources(t, hostRooms()...) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if n.Op == token.MUL && (isLiteral(n.X) && isUnit(n.Y) || isUnit(n.X) && isLiteral(n.Y)) {
					t.Errorf("%s:%d: a time of its own: put it into package timeouts, with its reason", s.path, s.line(n))
				}
			case *ast.ValueSpec:
				for _, v := range n.Values {
					if isUnit(v) && selected(v) != "time.Millisecond" { // the first of looks that become fewer
						t.Errorf("%s:%d: a time of its own: put it into package timeouts, with its reason", s.path, s.line(n))
					}
				}
			}
			return true
		})
	}
}

func isLiteral(e ast.Expr) bool {
	_, ok := e.(*ast.BasicLit)
	return ok
}

func isUnit(e ast.Expr) bool {
	return slices.Contains([]string{"time.Millisecond", "time.Second", "time.Minute", "time.Hour"}, selected(e))
}

// endless are the calls that can wait for ever, or make a context that does. Where
// they are, something else bounds them, and this says what.
func endless() map[string]string {
	return map[string]string{
		"cmd/containerd-shim-kata-v2/main.go main context.Background": "the process, which ends with its pod",
		"cmd/kata-ctl/main.go run context.Background":                 "the process, which a person can interrupt; its pods bound themselves",
		"hypervisor/fake/process.go startProcess exec.Command":        "a fake, killed by Stop",
		"hypervisor/qemu/process.go spawn exec.Command":               "QEMU, which lives as long as the VM, and is killed by Stop",
		"hypervisor/virtiofsd/daemon.go spawn exec.Command":           "virtiofsd, which lives as long as the VM, and is killed by Stop",
		"network/steer.go listenLoopback context.Background":          "a listen, which does not wait",
		"sandbox/death.go bury context.Background":                    "StopVM in undoVM, and Release in end",
		"sandbox/exec.go discard context.WithoutCancel":               "Signal in ask",
		"sandbox/life.go newLife context.Background":                  "the pod's life, which its end or death ends",
		"sandbox/step_clone.go startClone context.WithoutCancel":      "StopVM in undoVM",
		"sandbox/stop.go beginStop context.WithoutCancel":             "DestroySandbox in ask, and Release in end",
		"sandbox/streams_rpc.go Close context.WithoutCancel":          "Request in ask",
		"sandbox/template/spawn.go Spawn exec.Command":                "a builder behind everybody's back, which bounds itself by TemplateBoot",
		"shim/bootstrap/finish.go spawnCleanup exec.Command":          "a clean-up behind the delete action, which bounds itself by Cleanup",
		"shim/bootstrap/spawn.go command exec.Command":                "the shim itself, which lives as long as its pod",
		"shim/events/queue.go New context.WithoutCancel":              "the queue's life, which Close ends; an attempt has Event",
		"shim/stdio/logger.go startLogger exec.Command":               "a logging program, which lives as long as its container and then has LoggerEnd, twice",
		"shim/task/create.go createTask context.WithoutCancel":        "the watch of a process, which its end or the pod's ends",
		"shim/task/exec.go Exec context.WithoutCancel":                "the watch of a process, which its end or the pod's ends",
		"protocols/transport/serial.go connect context.Background":    "the carrier's life, which Close ends",
		"protocols/transport/unix.go connectUnix net.DialUnix":        "a connect to a unix socket, which fails at once where nobody accepts",
	}
}

// Nothing on the host waits without a bound.
func TestNothingWaitsForEver(t *testing.T) {
	known, seen := endless(), map[string]bool{}
	for _, s := range sources(t, append(hostRooms(), "protocols")...) {
		bounded := map[ast.Node]bool{}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name := selected(call.Fun)
			switch name {
			case "context.WithTimeout", "context.WithTimeoutCause", "context.WithDeadline":
				bounded[call.Args[0]] = true
				return true
			case "context.Background", "context.WithoutCancel", "exec.Command", "net.Dial", "net.DialUnix", "net.DialTCP", "http.Get", "time.Sleep":
			default:
				return true
			}
			at := s.path + " " + function(s.file, call) + " " + name
			if _, explained := known[at]; !bounded[call] && !explained {
				t.Errorf("%s:%d: %s has no bound: give it one of package timeouts, or say in this test what bounds it (%q)", s.path, s.line(call), name, at)
			}
			seen[at] = true
			return true
		})
	}
	for _, at := range slices.Sorted(maps.Keys(known)) {
		if !seen[at] {
			t.Errorf("%s is not there any more", at)
		}
	}
}

// function is the name of the function that a node is in.
func function(file *ast.File, n ast.Node) string {
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Pos() <= n.Pos() && n.End() <= f.End() {
			return f.Name.Name
		}
	}
	return "package"
}

// A wait for a lock of another process is a try.
func TestLocksAreTried(t *testing.T) {
	for _, s := range sources(t, append(hostRooms(), "agent", "protocols")...) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && selected(call.Fun) == "unix.Flock" && !mentions(call.Args[1], "unix.LOCK_NB", "unix.LOCK_UN") {
				t.Errorf("%s:%d: this waits for a lock as long as somebody holds it; use LOCK_NB", s.path, s.line(call))
			}
			return true
		})
	}
}

// mentions looks for selectors in an expression.
func mentions(e ast.Expr, names ...string) (found bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		found = found || slices.Contains(names, selected(n))
		return true
	})
	return found
}

// Calls that are only there for their bound say it by a name: no bare number hides
// in a call that takes a duration.
func TestTheAgentHasItsTimesAtHand(t *testing.T) {
	for _, s := range sources(t, "agent") {
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !strings.HasPrefix(selected(call.Fun), "context.With") {
				return true
			}
			for _, a := range call.Args {
				if b, ok := a.(*ast.BinaryExpr); ok && (isLiteral(b.X) || isLiteral(b.Y)) {
					t.Errorf("%s:%d: name this time, with its reason", s.path, s.line(call))
				}
			}
			return true
		})
	}
}
