// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/katapod/katapod/integration/node"
)

// hostPort is the node's port that leads to the first pod.
const hostPort = 17000

// showPod starts the first pod with its containers.
func (d *demo) showPod() error {
	err := d.check("crictl runp --runtime "+d.handler, func() ([]string, error) {
		var err error
		d.first, err = d.runPod(node.Pod{
			Name: "first", Handler: d.handler, Hostname: "first-pod",
			Ports: []node.Port{{ContainerPort: 7000, HostPort: hostPort}},
		})
		return []string{"pod " + short(d.first.id) + " has the addresses " + strings.Join(d.first.addresses, " and ")}, err
	})
	if err != nil {
		return err
	}
	for _, c := range []struct {
		id    *string
		spec  node.Container
		until string
	}{
		{&d.one, node.Container{Name: "one", Args: []string{"probe", "listen", ":7000", "hello from one"}}, "listening"},
		{&d.two, node.Container{Name: "two", Args: []string{"probe", "listen", "localhost:7001", "hello from two"}}, "listening"},
	} {
		if err := d.check("start container "+c.spec.Name, func() (facts []string, err error) {
			*c.id, err = d.start(d.first, c.spec, c.until)
			return nil, err
		}); err != nil {
			return err
		}
	}
	return d.check("crictl ps", func() ([]string, error) {
		out, err := d.Crictl(d.ctx, "ps", "--pod", d.first.id)
		if err == nil && strings.Count(out, "Running") != 2 {
			err = fmt.Errorf("two containers should be running, crictl ps shows:\n%s", out)
		}
		return strings.Split(strings.TrimSpace(out), "\n"), err
	})
}

// showSharing looks at what two containers of a pod have in common.
func (d *demo) showSharing() error {
	steps := []struct {
		name      string
		container *string
		want      string
		args      []string
	}{
		{"container two reaches one on localhost", &d.two, "hello from one", []string{"probe", "dial", "localhost:7000"}},
		{"container one reaches two on localhost", &d.one, "hello from two", []string{"probe", "dial", "localhost:7001"}},
		{"container one makes SysV shared memory", &d.one, "", []string{"probe", "shm-put", "4711", "shared by IPC"}},
		{"container two reads it", &d.two, "shared by IPC", []string{"probe", "shm-get", "4711"}},
		{"container two writes to /dev/shm", &d.two, "", []string{"sh", "-c", "echo in shm >/dev/shm/file"}},
		{"container one reads it", &d.one, "in shm", []string{"cat", "/dev/shm/file"}},
		{"container one writes to its root file system", &d.one, "", []string{"touch", "/only-in-one"}},
		{"container two does not see it", &d.two, "0", []string{"sh", "-c", "ls / | grep -c only-in-one; true"}},
		{"the hostname is the pod's", &d.two, "first-pod", []string{"hostname"}},
	}
	for _, s := range steps {
		if err := d.check(s.name, func() ([]string, error) {
			return d.expect(*s.container, s.want, s.args...)
		}); err != nil {
			return err
		}
	}
	return d.check("namespaces of the two containers", d.compareNamespaces)
}

func (d *demo) compareNamespaces() ([]string, error) {
	list := []string{"sh", "-c", "for n in net ipc uts mnt pid; do readlink /proc/self/ns/$n; done"}
	one, err := d.exec(d.one, list...)
	if err != nil {
		return nil, err
	}
	two, err := d.exec(d.two, list...)
	if err != nil {
		return nil, err
	}
	inTwo := strings.Fields(two)
	var facts []string
	for i, ns := range strings.Fields(one) {
		name, _, _ := strings.Cut(ns, ":")
		shared := name != "mnt" && name != "pid"
		if (ns == inTwo[i]) != shared {
			return facts, fmt.Errorf("the %s namespaces are %s and %s; the same in both containers: should be %t", name, ns, inTwo[i], shared)
		}
		word := "own"
		if shared {
			word = "shared"
		}
		facts = append(facts, name+": "+word)
	}
	return []string{strings.Join(facts, ", ")}, nil
}

func short(id string) string { return id[:min(13, len(id))] }
