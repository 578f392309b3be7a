// SPDX-License-Identifier: Apache-2.0

package docker

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/engines/engine"
	"github.com/katapod/katapod/integration/node"
)

// moment is when the snapshot archive had the packages.
const moment = "20261120T000000Z"

// release is a version of Docker.
type release struct {
	node, says string // the node it runs on, and what `docker version` has to say
	debian     node.Debian
	// execAbsent is the code of `docker exec` for a program that is not there.
	execAbsent int
}

func releases() map[string]release {
	return map[string]release{
		"26": {"kpnode-dkr26", "26.1.5", debian("trixie", "26.1.5+dfsg1-9+deb13u1",
			"142fe32f839a20720b2e6074b8d28d883b01bc45345f7315586b0c2d348dae87",
			"e78ac35b7a21652546ca1a739f63e4f31fe52e4385a9baf7020be400c594f23d"), 126},
		"28": {"kpnode-dkr28", "28.5.2", debian("sid", "28.5.2+dfsg4-5",
			"69a59cc77a1fb8ee9ad6859abc2e6de5d76b70887405595c2b1307818fecf682",
			"8ea2428acdda666f41263f5a0d3a85681a696491361574eb7bd721a1194939b9"), 127},
	}
}

// debian are the packages on amd64: dockerd with its proxy, and the client.
func debian(suite, version, daemon, client string) node.Debian {
	return node.Debian{Suite: suite, Moment: moment, Packages: []node.DebianPackage{
		{Name: "docker.io", Version: version, SHA256: daemon},
		{Name: "docker-cli", Version: version, SHA256: client},
	}}
}

// dockerd is a private daemon on a node, with its client.
type dockerd struct {
	*engine.Engine
	release
	programs string // where the packages are unpacked
	root     string // everything it writes is below it, but for sockets of plug-ins
	runtime  string // what containers are run with
	cmd      *exec.Cmd
	before   node.Inventory
}

// start runs the daemon for the test and those below it, with the test image loaded.
func (r release) start(t *testing.T) *dockerd {
	t.Helper()
	engine.Require(t)
	programs := engine.Unpack(t, r.debian)
	e := engine.Start(t, node.Options{Name: r.node})
	d := &dockerd{Engine: e, release: r, programs: programs, root: filepath.Join(e.Root, "d"), runtime: named}
	if e.Runtime == engine.Runc {
		d.runtime = "runc"
	}
	t.Cleanup(func() { d.remove(t) })
	d.configure(t)
	d.serve(t)
	if got := d.docker(t, "version", "--format", "{{.Server.Version}} {{.Client.Version}}"); strings.Count(got, r.says) != 2 {
		t.Fatalf("docker and its daemon are %q, not %s", got, r.says)
	}
	d.importImage(t)
	// The first containers make what later ones share: the bridge's rules, a name of the node's network namespace.
	for _, network := range []string{"bridge", "host"} {
		d.docker(t, "run", "--rm", "--runtime", "runc", "--network", network, image, "true")
	}
	var err error
	if d.before, err = d.Inventory(engine.Context(t)); err != nil {
		t.Fatal(err)
	}
	return d
}

// named is the runtime that daemon.json names.
const named = "kata"

// configure writes daemon.json. Docker names no cgroup parent of its own here, so that the node knows its containers.
func (d *dockerd) configure(t *testing.T) {
	t.Helper()
	config := map[string]any{
		"hosts": []string{d.host()}, "containerd": d.Socket(),
		"data-root": d.root + "/data", "exec-root": d.root + "/exec", "pidfile": d.root + "/pid",
		"userland-proxy-path":   d.programs + "/usr/sbin/docker-proxy",
		"cgroup-parent":         "/" + d.Name(),
		"bip":                   "172.30.0.1/24",
		"live-restore":          true,
		"default-address-pools": []map[string]any{{"base": "172.31.0.0/16", "size": 24}},
		"runtimes": map[string]any{
			named: map[string]any{"runtimeType": engine.Kata, "options": map[string]any{"ConfigPath": d.KataConfig()}},
		},
	}
	text, err := json.Marshal(config)
	if err == nil {
		err = os.MkdirAll(d.root, 0o711)
	}
	if err == nil {
		err = os.WriteFile(d.root+"/daemon.json", text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (d *dockerd) host() string { return "unix://" + d.root + "/s" }

// serve starts the daemon and waits until it answers.
func (d *dockerd) serve(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(d.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	d.cmd = d.Runner().Command(context.Background(), d.programs+"/usr/sbin/dockerd", "--config-file", d.root+"/daemon.json")
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	engine.WaitFor(t, time.Minute, "dockerd, see "+d.log(), func() bool { return d.try(t, "version").Code == 0 })
}

func (d *dockerd) log() string { return filepath.Join(d.Out, d.Name()+".dockerd.log") }

// halt ends the daemon; with live-restore its containers go on.
func (d *dockerd) halt(t *testing.T) {
	t.Helper()
	if d.cmd == nil {
		return
	}
	ended := make(chan error, 1)
	go func() { ended <- d.cmd.Wait() }()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("dockerd: %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("dockerd did not end when it was asked to")
		_ = d.cmd.Process.Kill()
		<-ended
	}
	d.cmd = nil
}

// remove ends the daemon and what it made: containers, networks, mounts and files.
func (d *dockerd) remove(t *testing.T) {
	t.Helper()
	run := func(words ...string) {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if _, err := d.Runner().Run(ctx, words[0], words[1:]...); err != nil {
			t.Error(err)
		}
	}
	docker := d.programs + "/usr/bin/docker -H " + d.host()
	if d.cmd != nil {
		run("sh", "-c", docker+" ps -aq | xargs -r "+docker+" rm -f -v >/dev/null; "+docker+" network prune -f >/dev/null")
		d.halt(t)
	}
	run("sh", "-c", "for m in data exec/netns/default; do if mountpoint -q "+d.root+"/$m; then umount "+d.root+"/$m; fi; done; "+
		"ip link del docker0; rm -rf /run/docker; rmdir "+d.Root+"/state/io.containerd.runtime.v2.task/moby")
	if !t.Failed() {
		_ = os.Remove(d.log())
	}
}

// docker runs the client, which has to succeed, and returns its standard output.
func (d *dockerd) docker(t *testing.T, args ...string) string {
	t.Helper()
	res := d.try(t, args...)
	if res.Code != 0 {
		t.Fatalf("docker %q ended with code %d: %s%s", args, res.Code, res.Stdout, res.Stderr)
	}
	return res.Stdout
}

// try runs the client to its end.
func (d *dockerd) try(t *testing.T, args ...string) node.Result {
	t.Helper()
	return d.Try(t, d.programs+"/usr/bin/docker", append([]string{"-H", d.host()}, args...)...)
}

// run runs a container to its end, which leaves nothing.
func (d *dockerd) run(t *testing.T, args ...string) node.Result {
	t.Helper()
	return d.try(t, append([]string{"run", "--rm", "--runtime", d.runtime}, args...)...)
}

// wantNothingLeft fails the test when something of a container is left.
func (d *dockerd) wantNothingLeft(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // the test's own may have ended
	defer cancel()
	left, err := d.WaitEmpty(ctx, d.before)
	if err != nil {
		t.Fatal(err)
	}
	// One that was started again is another process.
	left["processes"] = slices.DeleteFunc(left["processes"], func(p string) bool { return strings.Contains(p, "/usr/sbin/dockerd --config-file") })
	left["sockets"] = slices.DeleteFunc(left["sockets"], func(name string) bool { return strings.HasPrefix(name, d.root+"/") })
	if left.String() != "" {
		t.Errorf("left behind:\n%s", left)
	}
}
