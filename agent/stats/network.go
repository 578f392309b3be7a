// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/katapod/katapod/protocols/agentpb"
)

// Network returns what every link but the loopback device has moved. sys is the
// mount point of sysfs. A link that goes away meanwhile is left out.
func Network(sys string) ([]*agentpb.NetworkStats, error) {
	dir := filepath.Join(sys, "class/net")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list the links: %w", err)
	}
	var out []*agentpb.NetworkStats
	for _, e := range entries {
		if e.Name() == "lo" {
			continue
		}
		n, err := link(filepath.Join(dir, e.Name(), "statistics"), e.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

func link(dir, name string) (*agentpb.NetworkStats, error) {
	n := &agentpb.NetworkStats{Name: name}
	for file, to := range map[string]*uint64{
		"rx_bytes": &n.RxBytes, "rx_packets": &n.RxPackets, "rx_errors": &n.RxErrors, "rx_dropped": &n.RxDropped,
		"tx_bytes": &n.TxBytes, "tx_packets": &n.TxPackets, "tx_errors": &n.TxErrors, "tx_dropped": &n.TxDropped,
	} {
		v, err := read(filepath.Join(dir, file))
		if err != nil {
			return nil, err
		}
		*to = v
	}
	return n, nil
}

// read returns a number from a file of the kernel's.
func read(path string) (uint64, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read a number of the kernel's: %w", err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read a number from %s: %w", path, err)
	}
	return n, nil
}
