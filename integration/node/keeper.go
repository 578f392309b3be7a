// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// Addresses of the node itself, on its loopback: documentation prefixes (RFC 5737, RFC 3849) that nothing routes.
const (
	AddressV4 = "192.0.2.10"
	AddressV6 = "2001:db8::10"
)

// keeperScript sets up the namespaces that it runs in. /run becomes empty and /var/lib becomes writable without
// changing the machine's: runc, CNI, virtiofsd and others write there by names that cannot be configured. Mounts are
// shared inside the namespace, as on a real node, for containers that ask for mount propagation. The duplicate
// address detection of IPv6 is off because it costs a second for each bridge.
const keeperScript = `set -e
mount --make-rshared /
mount -t tmpfs -o mode=0755 katapod-node /run
mkdir /run/.upper /run/.work
mount -t overlay -o lowerdir=/var/lib,upperdir=/run/.upper,workdir=/run/.work katapod-node /var/lib
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
if [ -d /proc/sys/net/ipv6 ]; then
	echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
	echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
	ip -6 address add ` + AddressV6 + `/128 dev lo nodad
fi
ip address add ` + AddressV4 + `/32 dev lo
echo ready
exec sleep infinity
`

// keeper is the process that holds the node's network, IPC and mount namespace.
type keeper struct {
	cmd *exec.Cmd
}

// startKeeper returns when the namespaces are set up. The process has a session of its own, so that a Ctrl-C on the
// terminal does not take the namespaces away before the node is cleaned up.
func startKeeper(ctx context.Context, l Layout) (*keeper, error) {
	cmd := exec.Command("unshare", "--net", "--ipc", "--mount", "--propagation", "slave", "/bin/sh", "-c", keeperScript)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Env = []string{"PATH=" + l.searchPath(), marker(l)}
	cmd.Dir = "/"
	said, err := os.Create(l.path("keeper.log"))
	if err != nil {
		return nil, fmt.Errorf("make the keeper's log: %w", err)
	}
	defer said.Close()
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe for the keeper of the node's namespaces: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the keeper of the node's namespaces with unshare: %w", err)
	}
	k := &keeper{cmd: cmd}
	if err := k.ready(ctx, out); err != nil {
		text, _ := os.ReadFile(said.Name()) // best effort: it only adds to the error
		k.stop()
		return nil, fmt.Errorf("set up the node's namespaces (root is needed): %w: %s", err, strings.TrimSpace(string(text)))
	}
	return k, nil
}

func (k *keeper) ready(ctx context.Context, out io.Reader) error {
	line := make(chan error, 1)
	go func() {
		text, err := bufio.NewReader(out).ReadString('\n')
		if err == nil && text != "ready\n" {
			err = fmt.Errorf("the keeper said %q", text)
		}
		line <- err
	}()
	select {
	case err := <-line:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	return k.apart()
}

// apart makes sure that the namespaces are not the machine's, before anything is changed in them.
func (k *keeper) apart() error {
	for _, name := range []string{"net", "ipc", "mnt"} {
		ours, err := os.Readlink("/proc/self/ns/" + name)
		if err != nil {
			return fmt.Errorf("read this process's namespaces: %w", err)
		}
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", k.pid(), name))
		if err != nil {
			return fmt.Errorf("read the keeper's namespaces: %w", err)
		}
		if ours == theirs {
			return fmt.Errorf("the %s namespace of the node is the machine's own, nothing is done in it", name)
		}
	}
	return nil
}

func (k *keeper) pid() int { return k.cmd.Process.Pid }

// prefix is the command that enters the namespaces. `ip netns exec` would not do: it mounts a new /sys, without the
// cgroup hierarchies.
func (k *keeper) prefix() []string {
	return []string{"nsenter", "--target", strconv.Itoa(k.pid()), "--net", "--ipc", "--mount", "--"}
}

// stop ends the keeper and waits for it; its exit status says nothing of interest.
func (k *keeper) stop() {
	_ = k.cmd.Process.Kill()
	_ = k.cmd.Wait()
}

// marker is the environment variable by which a later run knows the processes of this node.
func marker(l Layout) string { return "KATAPOD_NODE=" + l.Root }
