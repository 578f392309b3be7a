// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"testing"

	"github.com/containerd/errdefs"
)

// Engines name their pods as they like, each in a namespace of its own.
func TestEqualIDsInTwoNamespaces(t *testing.T) {
	first := startedFixture(t, func(o *Options) { o.ID, o.Namespace, o.CgroupPath = "same", "one", "" })
	beside := func(namespace string) (*fixture, error) {
		f := &fixture{t: t, host: newFakeHost(t), agent: newFakeAgent()}
		f.vm = &fakeVM{agent: f.agent}
		o := first.pod.Options()
		o.Namespace, o.Bundle = namespace, t.TempDir()
		var err error
		f.pod, err = New(o, f.host.drivers(f.vm))
		return f, err
	}
	if _, err := beside("one"); !errors.Is(err, errdefs.ErrAlreadyExists) {
		t.Errorf("a second pod of one id and namespace: error %v", err)
	}
	second, err := beside("two")
	if err != nil {
		t.Fatalf("a pod of the same id in another namespace: %v", err)
	}
	defer second.pod.Stop(context.Background())
	if err := second.pod.Start(context.Background()); err != nil {
		t.Fatalf("start a pod of the same id in another namespace: %v", err)
	}
	one, err1 := first.pod.cgroupPath()
	two, err2 := second.pod.cgroupPath()
	if one == two || err1 != nil || err2 != nil {
		t.Errorf("the pods share the cgroup %s: %v, %v", one, err1, err2)
	}
	a, b := first.pod.dirs, second.pod.dirs
	if a.state == b.state || a.vm == b.vm {
		t.Errorf("the pods share directories: %+v and %+v", a, b)
	}
}

func TestNamespacesAreNames(t *testing.T) {
	f := newFixture(t)
	o := f.pod.Options()
	o.Namespace = "../../etc"
	if _, err := New(o, f.host.drivers(f.vm)); !errors.Is(err, errdefs.ErrInvalidArgument) {
		t.Errorf("a namespace that is a path: error %v", err)
	}
}
