// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// EnvConfigPath hands the configuration file that the runtime's options named
// at start to the serving process; the Sandbox API names it nowhere else.
const EnvConfigPath = "KATAPOD_OPTIONS_CONFIG_PATH"

// SocketFD is the listening socket in the serving process.
const SocketFD = 3

// spawn starts the process that serves the pod, with the listening socket as
// file descriptor SocketFD. The socket's file stays when it succeeds.
func spawn(inv Invocation, p Params, b bundle, address string, listener *net.UnixListener) error {
	socket, err := listener.File()
	if err != nil {
		return fmt.Errorf("pass the shim's socket on: %w", err)
	}
	defer socket.Close()
	cmd, err := command(inv, p, b)
	if err != nil {
		return err
	}
	cmd.ExtraFiles = []*os.File{socket}
	if err := b.write(FileAddress, address); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the shim's serving process: %w", err)
	}
	// The lower score of the parent lets the shim die before containerd. Where
	// CAP_SYS_RESOURCE is missing the score stays what it is, which costs no
	// more than that order.
	_ = adjustOOMScore(cmd.Process.Pid)
	if err := b.write(filePID, strconv.Itoa(cmd.Process.Pid)); err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	listener.SetUnlinkOnClose(false)
	return errors.Join(listener.Close(), cmd.Process.Release())
}

func command(inv Invocation, p Params, b bundle) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the shim's own binary: %w", err)
	}
	// containerd's tools look for the id among these arguments, as endShim does.
	args := []string{"-namespace", inv.Namespace, "-id", inv.ID, "-address", p.GRPCAddress}
	if p.Debug {
		args = append(args, "-debug")
	}
	cmd := exec.Command(self, args...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), EnvConfigPath+"="+p.ConfigPath)
	if p.TTRPCAddress != "" {
		cmd.Env = append(cmd.Env, "TTRPC_ADDRESS="+p.TTRPCAddress)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		cmd.Env = append(cmd.Env, "GOMAXPROCS=2")
	}
	// A group of its own would not do: when its parent ends, a shim that is stopped
	// just then would get SIGHUP, since nobody is left to continue it (setpgid(2)).
	// That holds within a session.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd, nil
}
