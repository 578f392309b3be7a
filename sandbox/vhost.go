// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// vhostNetDevice is vhost-net's: each opening makes one worker of the kernel that
// moves the packets of one queue.
const vhostNetDevice = "/dev/vhost-net"

// openVhostNet is the real Drivers.OpenVhostNet.
func openVhostNet(queues int) ([]*os.File, error) { return openEach(vhostNetDevice, queues) }

// openEach opens a device once per queue. A host without the device is no error
// and gives none.
func openEach(device string, queues int) ([]*os.File, error) {
	var files []*os.File
	for range queues {
		f, err := os.OpenFile(device, os.O_RDWR, 0)
		if err == nil {
			files = append(files, f)
			continue
		}
		closeAll(files)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
			return nil, nil
		}
		return nil, fmt.Errorf("open the kernel's network back end; allow it, or set disable_vhost_net: %w", err)
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // the VMM has its own, or never will
	}
}

// accelerate opens vhost-net for a link that has its queues.
func (s *Sandbox) accelerate(l *link) (err error) {
	if s.options.Config.Hypervisor.DisableVhostNet {
		return nil
	}
	l.vhost, err = s.drivers.OpenVhostNet(len(l.files))
	return err
}
