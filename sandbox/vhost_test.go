// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/katapod/katapod/hypervisor"
	"github.com/katapod/katapod/network"
	"github.com/katapod/katapod/sandbox/failure"
)

func TestOpenVhostNet(t *testing.T) {
	dir := t.TempDir()
	if files, err := openEach(filepath.Join(dir, "absent"), 2); files != nil || err != nil {
		t.Errorf("a host without the device: %v, %v", files, err)
	}
	files, err := openEach(os.DevNull, 3)
	if err != nil || len(files) != 3 {
		t.Errorf("three queues: %v, %v", files, err)
	}
	closeAll(files)
	if _, err := openEach(dir, 1); err == nil {
		t.Error("a device that cannot be opened is no error")
	}
}

// Network devices have vhost-net whether they are there at boot or come later,
// unless it is switched off.
func TestVhostNet(t *testing.T) {
	t.Run("on", func(t *testing.T) { vhostNet(t, false, 1) })
	t.Run("off", func(t *testing.T) { vhostNet(t, true, 0) })
}

func vhostNet(t *testing.T, off bool, want int) {
	f := startedFixture(t, func(o *Options) { o.Config.Hypervisor.DisableVhostNet = off })
	state := oneEndpoint()
	late := state.Endpoints[0]
	late.Index, late.Name, late.MAC = 3, "eth1", []byte{2, 0, 0, 0, 0, 2}
	state.Endpoints = append(state.Endpoints, late)
	f.host.setState(state)
	f.running("c1", "sleep")
	nics := append(f.vm.Config().NICs, f.vm.NICs()...)
	if len(nics) != 2 {
		t.Fatalf("NICs %v", nics)
	}
	for _, n := range nics {
		if len(n.TapFDs) != 1 || len(n.VhostFDs) != want {
			t.Errorf("NIC %+v, want %d descriptors of vhost-net", n, want)
		}
	}
	if opened := f.host.vhost; len(opened) != 2*want || !allClosed(opened) {
		t.Errorf("%d were opened, closed: %v", len(opened), allClosed(opened))
	}
}

// A host that has vhost-net and refuses it says so, and nothing is left.
func TestVhostNetThatIsRefused(t *testing.T) {
	f := newFixture(t)
	f.host.fail["vhost"] = os.ErrPermission
	var failed *Failure
	if err := f.pod.Start(background); !errors.As(err, &failed) || failed.Code != failure.NetworkFailed {
		t.Fatalf("start: %v", err)
	}
	wantIs(t, "start", failed, os.ErrPermission)
	f.clean()
}

// A link without queues has no back end to close.
func TestLinkOfNothing(t *testing.T) {
	l := link{endpoint: network.Endpoint{Index: 7}}
	l.closeFiles()
	if n := l.nic(); n.ID != "nic7" || n.VhostFDs != nil {
		t.Errorf("NIC %+v, want %+v", n, hypervisor.NIC{ID: "nic7"})
	}
}

func allClosed(files []*os.File) bool {
	for _, f := range files {
		if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) {
			return false
		}
	}
	return true
}
