// SPDX-License-Identifier: Apache-2.0

package docker

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/engines/engine"
)

// testNames asks for names of other containers, which Docker answers for on the host's side of the network.
func testNames(t *testing.T, d *dockerd) {
	d.network(t, "named")
	d.up(t, "server", "--network", "named", "--network-alias", "alias", image, "sh", "-c", "echo server >/index.html; exec httpd -f -p 80 -h /")
	engine.WaitFor(t, time.Minute, "the server", func() bool {
		return d.try(t, "exec", "server", "wget", "-q", "-O", "-", "http://server/").Stdout == "server\n"
	})
	res := d.run(t, "--network", "named", image, "sh", "-c", "timeout 9 wget -q -O - http://server/; timeout 9 wget -q -O - http://alias/; nslookup absent. >/dev/null || echo unknown")
	if res.Stdout != "server\nserver\nunknown\n" {
		t.Errorf("it printed %q: %s", res.Stdout, res.Stderr)
	}
}

// network makes a network, which goes with the test.
func (d *dockerd) network(t *testing.T, name string, options ...string) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := d.Runner().Run(ctx, d.programs+"/usr/bin/docker", "-H", d.host(), "network", "rm", name); err != nil {
			t.Error(err)
		}
	})
	d.docker(t, append(append([]string{"network", "create"}, options...), name)...)
}

// testNetworks connects a container that runs to another network and takes it from there, and from its first one.
func testNetworks(t *testing.T, d *dockerd) {
	d.network(t, "second", "--subnet", "172.29.0.0/24")
	t.Cleanup(func() { d.discard(t, "peer") })
	d.docker(t, "run", "--detach", "--runtime", "runc", "--network", "second", "--ip", "172.29.0.7", "--name", "peer", image,
		"sh", "-c", "echo peer >/index.html; exec httpd -f -p 80 -h /")
	d.up(t, "mover", image, "sh", "-c", "echo mover >/index.html; exec httpd -f -p 80 -h /")
	inside := func(script string) string { return d.try(t, "exec", "mover", "sh", "-c", script).Stdout }
	becomes := func(what, script, want string) {
		t.Helper()
		got := ""
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("%s: %q printed %q, want %q", what, script, got, want)
			}
		})
		engine.WaitFor(t, time.Minute, what, func() bool { got = inside(script); return got == want })
	}
	const links, peer = "ls /sys/class/net | grep eth | tr '\n' ' '", "timeout 5 wget -q -O - http://172.29.0.7/"
	becomes("the first network", links, "eth0 ")
	d.docker(t, "network", "connect", "--ip", "172.29.0.9", "second", "mover")
	becomes("a second interface", links, "eth0 eth1 ")
	becomes("its address", "ip -4 -o addr show dev eth1 | awk '{print $4}'", "172.29.0.9/24\n")
	becomes("a way to the peer", peer, "peer\n")
	becomes("the peer's name", "timeout 5 wget -q -O - http://peer/", "peer\n")
	if got := d.docker(t, "exec", "peer", "timeout", "5", "wget", "-q", "-O", "-", "http://172.29.0.9/"); got != "mover\n" {
		t.Errorf("the peer got %q", got)
	}
	d.docker(t, "network", "disconnect", "second", "mover")
	becomes("one interface less", links, "eth0 ")
	becomes("the default route", "ip route | grep -c '^default via 172.30.0.1 dev eth0'", "1\n")
	d.docker(t, "network", "connect", "second", "mover")
	becomes("a way to the peer again", peer, "peer\n")
	d.docker(t, "network", "disconnect", "bridge", "mover")
	becomes("the second network's default route", "ip route | grep '^default' | cut -d' ' -f3", "172.29.0.1\n")
	becomes("a way to the peer still", peer, "peer\n")
	if got := inside("ip -4 addr"); strings.Contains(got, "172.30.0.") {
		t.Errorf("the address of the first network is left: %s", got)
	}
}
