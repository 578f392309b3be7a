// SPDX-License-Identifier: Apache-2.0

package qemu

import (
	"os"
	"strings"
	"testing"
)

func TestNoVsockDevice(t *testing.T) {
	f, cid, err := openVsock(t.Context(), "/nonexistent/vhost-vsock")
	if f != nil || cid != 0 || err != nil {
		t.Errorf("a host without the device: %v, %d, %v", f, cid, err)
	}
}

func TestVsockDeviceThatIsNone(t *testing.T) {
	_, _, err := openVsock(t.Context(), file(t, t.TempDir(), "vhost-vsock", nil))
	if err == nil || !strings.Contains(err.Error(), "claim vsock context id") {
		t.Errorf("error %v", err)
	}
}

func TestVsockHere(t *testing.T) {
	if _, err := os.Stat(vsockDevice); err != nil {
		t.Skipf("no vhost-vsock on this host: %v", err)
	}
	f, cid, err := openVsock(t.Context(), vsockDevice)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if cid < firstCID || cid > lastCID {
		t.Errorf("context id %d", cid)
	}
	g, other, err := openVsock(t.Context(), vsockDevice)
	if err != nil || other == cid {
		t.Fatalf("a second id: %d, %v", other, err)
	}
	g.Close()
}

func TestCIDsAreInRange(t *testing.T) {
	for range 1000 {
		cid, err := randomCID()
		if err != nil || cid < firstCID || cid > lastCID {
			t.Fatalf("context id %d, %v", cid, err)
		}
	}
}
