// SPDX-License-Identifier: Apache-2.0

package agenttest

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/katapod/katapod/protocols/agentpb"
	"github.com/katapod/katapod/protocols/transport"
	"github.com/katapod/katapod/protocols/typespb"
)

func testNetwork(t *testing.T, g *guestUser) {
	eth0 := &typespb.Interface{
		Name: "eth0", HwAddr: nicMAC, Mtu: 1400,
		IPAddresses: []*typespb.IPAddress{{Address: "10.1.2.3", Mask: "24"}, {Family: typespb.IPFamily_v6, Address: "fd00::3", Mask: "64"}},
	}
	// First under another name and MAC, by its place; then by MAC.
	for _, i := range []*typespb.Interface{
		{Name: "first", DevicePath: nicPCI, HwAddr: "52:54:00:aa:bb:cc", IPAddresses: []*typespb.IPAddress{{Address: "10.9.9.9", Mask: "24"}}},
		{Name: "second", DevicePath: nicPCI, HwAddr: nicMAC},
		eth0,
	} {
		if _, err := g.agent.UpdateInterface(g.ctx, &agentpb.UpdateInterfaceRequest{Interface: i}); err != nil {
			t.Fatal(err)
		}
	}
	list, err := g.agent.ListInterfaces(g.ctx, &agentpb.ListInterfacesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, i := range list.Interfaces {
		var addrs []string
		for _, a := range i.IPAddresses {
			addrs = append(addrs, a.Address+"/"+a.Mask)
		}
		got[i.Name] = fmt.Sprint(i.Mtu, i.HwAddr, addrs[:min(2, len(addrs))])
	}
	if got["eth0"] != "1400"+nicMAC+"[10.1.2.3/24 fd00::3/64]" {
		t.Errorf("interfaces %v", got)
	}
	g.routes(t)
	g.rules(t)
}

func (g *guestUser) routes(t *testing.T) {
	t.Helper()
	routes, err := g.agent.UpdateRoutes(g.ctx, &agentpb.UpdateRoutesRequest{Routes: &agentpb.Routes{Routes: []*typespb.Route{
		{Gateway: "10.7.7.1", Device: "eth0"},
		{Dest: "10.7.7.1/32", Device: "eth0", Scope: 253, Source: "10.1.2.3"},
		{Family: typespb.IPFamily_v6, Gateway: "fd00::1", Device: "eth0", Mtu: 1300},
		{Dest: "10.8.0.0/16", Gateway: "10.66.0.1", Device: "eth0", Flags: 4},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range routes.Routes {
		lines = append(lines, fmt.Sprintf("%s via %s dev %s src %s mtu %d", r.Dest, r.Gateway, r.Device, r.Source, r.Mtu))
	}
	for _, want := range []string{
		" via 10.7.7.1 dev eth0 src  mtu 0", "10.7.7.1/32 via  dev eth0 src 10.1.2.3 mtu 0",
		" via fd00::1 dev eth0 src  mtu 1300", "10.8.0.0/16 via 10.66.0.1 dev eth0 src  mtu 0",
	} {
		if !strings.Contains(strings.Join(lines, "\n"), want) {
			t.Errorf("routes lack %q:\n%s", want, strings.Join(lines, "\n"))
		}
	}
	if _, err := g.agent.AddARPNeighbors(g.ctx, &agentpb.AddARPNeighborsRequest{Neighbors: &agentpb.ARPNeighbors{ARPNeighbors: []*typespb.ARPNeighbor{
		{ToIPAddress: &typespb.IPAddress{Address: "10.1.2.1"}, Device: "eth0", Lladdr: "02:00:00:00:00:01"},
	}}}); err != nil {
		t.Error(err)
	}
}

func (g *guestUser) rules(t *testing.T) {
	t.Helper()
	rules := "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --dport 4242 -j DROP\nCOMMIT\n"
	for _, v6 := range []bool{false, true} {
		if _, err := g.agent.SetIPTables(g.ctx, &agentpb.SetIPTablesRequest{IsIpv6: v6, Data: []byte(rules)}); err != nil {
			t.Errorf("IPv6 %v: %v", v6, err)
		}
		saved, err := g.agent.GetIPTables(g.ctx, &agentpb.GetIPTablesRequest{IsIpv6: v6})
		if err != nil || !strings.Contains(string(saved.Data), "--dport 4242 -j DROP") {
			t.Errorf("IPv6 %v: rules %v: %v", v6, saved, err)
		}
	}
}

func testGuest(t *testing.T, g *guestUser) {
	details, err := g.agent.GetGuestDetails(g.ctx, &agentpb.GuestDetailsRequest{MemBlockSize: true, MemHotplugProbe: true})
	if err != nil {
		t.Fatal(err)
	}
	d := details.AgentDetails
	if !d.InitDaemon || !d.SupportsSeccomp || details.MemBlockSizeBytes == 0 || len(d.DeviceHandlers) == 0 || len(d.StorageHandlers) < 8 {
		t.Errorf("details %v", details)
	}
	if _, err := g.agent.SetGuestDateTime(g.ctx, &agentpb.SetGuestDateTimeRequest{Sec: 2_000_000_000}); err != nil {
		t.Error(err)
	}
	if _, err := g.agent.ReseedRandomDev(g.ctx, &agentpb.ReseedRandomDevRequest{Data: make([]byte, 64)}); err != nil {
		t.Error(err)
	}
	if _, err := g.agent.OnlineCPUMem(g.ctx, &agentpb.OnlineCPUMemRequest{}); err != nil {
		t.Error(err)
	}
	p := g.run(t, "date +%s; cat /proc/self/mountinfo | grep -c ' / / '")
	var now int64
	if _, err := fmt.Sscan(readLine(t, p.stdout), &now); err != nil || now < 2_000_000_000 || now > 2_000_001_000 {
		t.Errorf("the guest's time is %d: %v", now, err)
	}
	metrics, err := g.agent.GetMetrics(g.ctx, &agentpb.GetMetricsRequest{})
	if err != nil || !strings.Contains(metrics.GetMetrics(), "kata_guest_meminfo{item=\"memtotal\"}") {
		t.Errorf("metrics %v: %v", metrics, err)
	}
}

func testRefused(t *testing.T, g *guestUser) {
	bad := spec("x", "true")
	bad.Process.ApparmorProfile = "cri-containerd.apparmor.d"
	noRoot := spec("x", "true")
	noRoot.Root.Path = "/run/kata-containers/none/rootfs"
	for _, test := range []struct {
		name string
		want codes.Code
		call func() error
	}{
		{"policy", unimplemented, func() error { _, err := g.agent.SetPolicy(g.ctx, &agentpb.SetPolicyRequest{}); return err }},
		{"memory agent", unimplemented, func() error { _, err := g.agent.MemAgentMemcgSet(g.ctx, &agentpb.MemAgentMemcgConfig{}); return err }},
		{"memory agent's compaction", unimplemented, func() error {
			_, err := g.agent.MemAgentCompactSet(g.ctx, &agentpb.MemAgentCompactConfig{})
			return err
		}},
		{"memory probe", unimplemented, func() error {
			_, err := g.agent.MemHotplugByProbe(g.ctx, &agentpb.MemHotplugByProbeRequest{})
			return err
		}},
		{"diagnostics", unimplemented, func() error {
			_, err := g.agent.GetDiagnosticData(g.ctx, &agentpb.GetDiagnosticDataRequest{LogType: "other"})
			return err
		}},
		{"no such container", notFound, func() error {
			_, err := g.agent.StartContainer(g.ctx, &agentpb.StartContainerRequest{ContainerId: "none"})
			return err
		}},
		{"container name", invalidArgument, func() error {
			_, err := g.agent.CreateContainer(g.ctx, &agentpb.CreateContainerRequest{ContainerId: "../x", OCI: spec("x", "true")})
			return err
		}},
		{"AppArmor", unimplemented, func() error {
			_, err := g.agent.CreateContainer(g.ctx, &agentpb.CreateContainerRequest{ContainerId: "x", OCI: bad})
			return err
		}},
		{"no root", codes.Internal, func() error {
			_, err := g.agent.CreateContainer(g.ctx, &agentpb.CreateContainerRequest{ContainerId: "x", OCI: noRoot})
			return err
		}},
		{"no specification", invalidArgument, func() error {
			_, err := g.agent.CreateContainer(g.ctx, &agentpb.CreateContainerRequest{ContainerId: "x"})
			return err
		}},
		{"no swap area", codes.Internal, func() error {
			_, err := g.agent.AddSwap(g.ctx, &agentpb.AddSwapRequest{PCIPath: []uint32{3, 0}})
			return err
		}},
		{"no interface", invalidArgument, func() error { _, err := g.agent.UpdateInterface(g.ctx, &agentpb.UpdateInterfaceRequest{}); return err }},
	} {
		err := test.call()
		if code(err) != test.want {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		t.Logf("%s: %v", test.name, err)
	}
}

func testConsole(t *testing.T, g *guestUser) {
	console := g.dial(g.ctx, t, transport.PortConsole)
	fmt.Fprint(console, "echo $((40+2)); exit\n")
	out, _ := io.ReadAll(console)
	if !strings.Contains(string(out), "\n42\r\n") {
		t.Errorf("console %q", out)
	}
	log := g.dial(g.ctx, t, transport.PortLog)
	defer func() { _ = log.Close() }()
	for deadline := time.Now().Add(patience); ; {
		if _, err := g.health.Version(g.ctx, &agentpb.CheckRequest{}); err != nil {
			t.Fatal(err)
		}
		_ = log.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		line, _ := bufio.NewReader(log).ReadString('\n')
		if strings.Contains(line, "grpc.Health/Version") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the log does not come")
		}
	}
}
