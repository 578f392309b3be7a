// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"

	runc "github.com/containerd/go-runc"
	"github.com/containerd/ttrpc"
	"golang.org/x/sys/unix"

	"github.com/katapod/katapod/agent/boot"
	"github.com/katapod/katapod/agent/crun"
	"github.com/katapod/katapod/agent/device"
	"github.com/katapod/katapod/agent/guestfs"
	"github.com/katapod/katapod/agent/guestnet"
	"github.com/katapod/katapod/agent/guestos"
	"github.com/katapod/katapod/agent/oom"
	"github.com/katapod/katapod/agent/reaper"
	"github.com/katapod/katapod/agent/sandboxns"
	"github.com/katapod/katapod/agent/service"
	"github.com/katapod/katapod/agent/storage"
	"github.com/katapod/katapod/agent/streams"
	"github.com/katapod/katapod/protocols/transport"
)

// Version is the agent's version, as it tells the host.
const Version = "0.1.0"

// crunPath is the OCI runtime of the guest's image.
const crunPath = "/usr/bin/crun"

// Main runs the agent with the given command line and returns its exit code. As
// PID 1 it does not return: the guest ends with it.
func Main(args []string) int {
	if len(args) == 2 && args[1] == sandboxns.AnchorArgument {
		return sandboxns.Anchor()
	}
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "kata-agent is PID 1 of a guest and does nothing elsewhere")
		return 2
	}
	err := guarded(func() error { return asInit(context.Background()) })
	if err != nil {
		boot.Say("the guest ends: " + err.Error())
	}
	if err := boot.PowerOff(); err != nil {
		boot.Say(err.Error())
	}
	return 1
}

// guarded turns a panic into an error, so that the console gets its message
// before the guest ends.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

// asInit sets the guest up and serves until a signal ends it.
func asInit(ctx context.Context) error {
	if err := boot.Mount(); err != nil {
		return err
	}
	parameters, complaints := readParameters()
	setLog(os.Stdout, parameters.LogLevel)
	slog.Debug("the guest is mounted", "uptime", boot.Uptime())
	for _, c := range complaints {
		slog.Warn("ignored a kernel parameter", "error", c)
	}
	paths := service.DefaultPaths()
	if err := setUp(parameters, paths); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM, unix.SIGINT, unix.SIGPWR)
	defer stop()
	return serve(ctx, parameters, paths)
}

// setUp does what no call of the host is needed for.
func setUp(parameters boot.Parameters, paths service.Paths) error {
	if err := boot.Protect(parameters.DevMode); err != nil {
		return err
	}
	if err := boot.Cgroups(paths.Cgroups, paths.CgroupParent); err != nil {
		return err
	}
	// Beside the rest: the kernel takes its time for each link.
	go logged("removing stray links", boot.RemoveStrays)
	if err := boot.Loopback(); err != nil {
		return err
	}
	return boot.CatchCtrlAltDel()
}

func readParameters() (boot.Parameters, []error) {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return boot.DefaultParameters(), []error{fmt.Errorf("read the kernel command line: %w", err)}
	}
	return boot.ParseCommandLine(strings.TrimSpace(string(line)))
}

// serve joins the parts and serves until ctx ends or the carriers fail.
func serve(ctx context.Context, parameters boot.Parameters, paths service.Paths) error {
	parts, err := newParts(ctx, parameters, paths)
	if err != nil {
		return err
	}
	guest := transport.NewGuest(transport.GuestOptions{
		Report: func(err error) { slog.Info("channel to the host", "event", err) },
	})
	stdio, err := guest.Listen(transport.PortStdio)
	if err != nil {
		return fmt.Errorf("open the port of the standard streams: %w", err)
	}
	rpc, err := guest.Listen(transport.PortAgent)
	if err != nil {
		return fmt.Errorf("open the port of the agent: %w", err)
	}
	server, err := ttrpc.NewServer(ttrpc.WithUnaryServerInterceptor(announced(service.Interceptor)))
	if err != nil {
		return fmt.Errorf("make the agent's server: %w", err)
	}
	service.New(parts).Register(server)

	if err := serveExtras(ctx, guest, parameters, parts.Reaper, parts.Network); err != nil {
		return err
	}
	warmLater(crunPath)
	ended := make(chan error, 3)
	// Each ends with ctx, or ends the agent.
	go func() { ended <- parts.Streams.Serve(ctx, stdio) }()
	go func() { ended <- server.Serve(ctx, rpc) }()
	go func() { ended <- carry(ctx, guest) }()
	select {
	case <-ctx.Done():
		slog.Info("the guest was asked to end")
		return nil
	case err := <-ended:
		return fmt.Errorf("the agent cannot serve any more: %w", err)
	}
}

// carry serves the guest's ports over every carrier there is.
func carry(ctx context.Context, guest *transport.Guest) error {
	failed := make(chan error, 2)
	// Each ends with ctx or its carrier; both are waited for.
	go func() { failed <- guest.ServeSerial(ctx, "") }()
	go func() { failed <- guest.ServeVsock(ctx) }()
	first := <-failed
	if ctx.Err() == nil {
		slog.Info("one carrier is missing", "error", first)
	}
	return errors.Join(first, <-failed)
}

// newParts makes the parts and starts what runs beside the calls.
func newParts(ctx context.Context, parameters boot.Parameters, paths service.Paths) (service.Parts, error) {
	r, err := reaper.New()
	if err != nil {
		return service.Parts{}, err
	}
	// go-runc has one monitor per program.
	runc.Monitor = r.Monitor()
	if parameters.Emulated {
		runc.Monitor = crun.Steady(runc.Monitor)
	}
	hub, err := device.NewHub()
	if err != nil {
		return service.Parts{}, err
	}
	watcher, err := oom.New()
	if err != nil {
		return service.Parts{}, err
	}
	// These end with ctx, which is that of the guest's life.
	go r.Run(ctx)
	go watcher.Run(ctx)
	go func() {
		if err := hub.Run(ctx); err != nil {
			slog.Error("new devices are no longer seen", "error", err)
		}
	}()
	finder := &device.Finder{Hub: hub, Sys: "/sys", Dev: "/dev", Timeout: parameters.HotplugTimeout}
	network, err := guestnet.New(finder)
	if err != nil {
		return service.Parts{}, err
	}
	runtime := &crun.Runtime{Command: crunPath, Root: "/run/crun", Reaper: r, NoPivot: boot.RootIsInitramfs()}
	var afterPod func()
	if parameters.Emulated {
		afterPod = func() { logged("practising", func() error { return runtime.Practise(ctx, paths.Run) }) }
	}
	return service.Parts{
		Version: Version, Init: os.Getpid() == 1, Paths: paths, Parameters: parameters,
		Reaper: r, Runtime: runtime, AfterPod: afterPod,
		Streams: streams.New(), Storage: storage.New(finder, r), Devices: finder, OOM: watcher,
		Network: network, Files: guestfs.NewCopier(guestfs.NewTree(paths.Run)),
		System: guestos.System{Sys: "/sys", Hub: hub},
	}, nil
}
