// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/containerd/ttrpc"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/katapod/katapod/agent/device"
	"github.com/katapod/katapod/agent/guestnet"
	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/unread"
)

func TestErrorsGetTheirCodes(t *testing.T) {
	for want, err := range map[codes.Code]error{
		codes.InvalidArgument:    errdefs.ErrInvalidArgument,
		codes.NotFound:           fmt.Errorf("a: %w", fmt.Errorf("b: %w", errdefs.ErrNotFound)),
		codes.AlreadyExists:      errors.Join(errors.New("x"), errdefs.ErrAlreadyExists),
		codes.FailedPrecondition: errdefs.ErrFailedPrecondition,
		codes.Unimplemented:      errdefs.ErrNotImplemented,
		codes.Canceled:           context.Canceled,
		codes.DeadlineExceeded:   fmt.Errorf("3s: %w", context.DeadlineExceeded),
		codes.Internal:           os.ErrClosed,
		codes.Aborted:            status.Error(codes.Aborted, "as it is"),
		codes.OK:                 nil,
	} {
		if got := status.Code(toStatus(err)); got != want {
			t.Errorf("%v is %v, want %v", err, got, want)
		}
	}
}

func TestPanicIsAnError(t *testing.T) {
	_, err := Interceptor(t.Context(), nil, &ttrpc.UnaryServerInfo{FullMethod: "/x/Y"}, func(context.Context, func(any) error) (any, error) {
		panic("oh")
	})
	if status.Code(err) != codes.Internal || err.Error() == "" {
		t.Error(err)
	}
}

// TestEveryCallIsThere counts the contract, so that a new call is noticed.
func TestEveryCallIsThere(t *testing.T) {
	var s any = New(Parts{})
	for _, want := range []reflect.Type{reflect.TypeFor[agentpb.AgentServiceService](), reflect.TypeFor[agentpb.HealthService]()} {
		if !reflect.TypeOf(s).Implements(want) {
			t.Errorf("the service is no %s", want)
		}
	}
	if n := reflect.TypeFor[agentpb.AgentServiceService]().NumMethod(); n != 42 {
		t.Errorf("the contract has %d calls, not 42", n)
	}
}

func TestNamesOfContainers(t *testing.T) {
	for _, id := range []string{"a", "0f3c", "a.b_c-d+e", "Zz9", strings.Repeat("x", 255)} {
		if err := checkID(id); err != nil {
			t.Error(err)
		}
	}
	for _, id := range []string{"", ".", "..", "a/b", "../a", "-a", "shared", "sandbox", "image", "a b", "a\x00", "_a", ".a", "+", "é", "a\n", strings.Repeat("x", 256)} {
		if err := checkID(id); !errors.Is(err, errdefs.ErrInvalidArgument) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// TestUnreadRoutes are not listed.
func TestUnreadRoutes(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("routes are for root")
	}
	network, err := guestnet.New(&device.Finder{})
	if err != nil {
		t.Fatal(err)
	}
	s := New(Parts{Network: network})
	request := &agentpb.UpdateRoutesRequest{} // changes nothing
	read, err := s.UpdateRoutes(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	all, err := s.ListRoutes(t.Context(), nil)
	if err != nil || len(read.Routes) != len(all.Routes) {
		t.Errorf("%d routes are in an answer that is read, of %d, %v", len(read.Routes), len(all.Routes), err)
	}
	if got, err := s.UpdateRoutes(unread.Mark(t.Context()), request); err != nil || len(got.Routes) != 0 {
		t.Errorf("in an answer that nobody reads: %v, %v", got, err)
	}
}

func TestUserByNumbers(t *testing.T) {
	p := &specs.Process{User: specs.User{UID: 9}}
	for _, u := range []*agentpb.StringUser{nil, {}} {
		if err := setUser(p, u); err != nil || p.User.UID != 9 {
			t.Errorf("%v: %v, %v", u, p.User, err)
		}
	}
	if err := setUser(p, &agentpb.StringUser{Uid: "1", AdditionalGids: []string{"3", "4"}}); err != nil ||
		!reflect.DeepEqual(p.User, specs.User{UID: 1, AdditionalGids: []uint32{3, 4}}) {
		t.Errorf("%v, %v", p.User, err)
	}
	if err := setUser(p, &agentpb.StringUser{Uid: "root"}); !errors.Is(err, errdefs.ErrNotImplemented) {
		t.Error(err)
	}
}

func TestRenumber(t *testing.T) {
	number := func(n int64) *int64 { return &n }
	spec := &specs.Spec{Linux: &specs.Linux{
		Devices: []specs.LinuxDevice{{Path: "/dev/a", Type: "b", Major: 8, Minor: 1}, {Path: "/dev/b", Major: 8, Minor: 2}},
		Resources: &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{
			{Allow: false}, {Allow: true, Major: number(8), Minor: number(1)}, {Allow: true, Major: number(8), Minor: number(2)},
		}},
	}}
	if err := renumber(spec, "/dev/a", "b", device.Number{Major: 254, Minor: 16}); err != nil {
		t.Fatal(err)
	}
	rules := spec.Linux.Resources.Devices
	if spec.Linux.Devices[0].Major != 254 || spec.Linux.Devices[1].Major != 8 || *rules[1].Major != 254 || *rules[1].Minor != 16 || *rules[2].Major != 8 {
		t.Errorf("%+v %v %v", spec.Linux.Devices, *rules[1].Major, *rules[2].Major)
	}
	if err := renumber(spec, "/dev/c", "b", device.Number{}); !errors.Is(err, errdefs.ErrInvalidArgument) {
		t.Error(err)
	}
}

func TestTerminationMessage(t *testing.T) {
	dir, secret := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	long := make([]byte, 5000)
	for i := range long {
		long[i] = 'a' + byte(i%26)
	}
	for name, data := range map[string][]byte{secret: []byte("secret"), filepath.Join(dir, "message"): long} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(secret, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	spec := func(path string) *specs.Spec {
		return &specs.Spec{Root: &specs.Root{Path: dir}, Annotations: map[string]string{terminationLogAnnotation: path},
			Mounts: []specs.Mount{{Destination: "/mounted", Source: secret}}}
	}
	for path, want := range map[string]string{"/message": string(long[5000-4096:]), "/none": "", "/link": "", "/mounted": "secret", "": ""} {
		if got, err := readTermination(spec(path)); err != nil || got != want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	if _, err := readTermination(spec("/")); err == nil {
		t.Error("a directory is a message")
	}
}

func TestGuestHooks(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"prestart/20-b": 0o755, "prestart/10-a": 0o755, "prestart/note": 0o644, "poststop/x": 0o755} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, mode)); err != nil {
			t.Fatal(err)
		}
	}
	h, err := guestHooks(dir)
	//lint:ignore SA1019 the contract names the directory so
	if p := h.Prestart; err != nil || len(p) != 2 || filepath.Base(p[0].Path) != "10-a" || len(h.Poststop) != 1 || len(h.Poststart) != 0 {
		t.Errorf("%+v, %v", h, err)
	}
	if h, err := guestHooks(""); err != nil || len(h.Poststop) != 0 {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestFeaturesAreSaid(t *testing.T) {
	if !reflect.DeepEqual(features(), []string{"katapod.stdio-streams", "katapod.port-forward", "katapod.name-service", "katapod.oci-spec", "seccomp"}) {
		t.Errorf("%q", features())
	}
}
