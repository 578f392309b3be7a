// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"runtime"
	"testing"

	cgroupsv1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	cgroupsv2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	"google.golang.org/protobuf/proto"

	"github.com/katapod/katapod/protocols/agentpb"
)

// FuzzStats takes any answer of a guest's: both kinds of metrics come out, and can be
// read.
func FuzzStats(f *testing.F) {
	good, err := proto.Marshal(measured())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, uint64(3))
	f.Add([]byte{}, uint64(0))
	f.Add([]byte("\n\x04\x1a\x02\n\x00"), ^uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, kills uint64) {
		var r agentpb.StatsContainerResponse
		if proto.Unmarshal(b, &r) != nil {
			return
		}
		for mode, into := range map[Mode]proto.Message{V1: &cgroupsv1.Metrics{}, V2: &cgroupsv2.Metrics{}} {
			out, err := Any(mode, &r, kills)
			if err != nil {
				t.Fatal(err)
			}
			if err := proto.Unmarshal(out.Value, into); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestHostileStats is the answer that decodes to most: as many empty entries as it can
// hold.
func TestHostileStats(t *testing.T) {
	const longest = 256 << 10 // guard.MaxAnswer
	blkio := make([]byte, 0, longest)
	for len(blkio) < longest-64 {
		blkio = append(blkio, 0x0a, 0x00) // io_service_bytes_recursive, empty
	}
	var entries agentpb.BlkioStats
	if err := proto.Unmarshal(blkio, &entries); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b, err := proto.Marshal(&agentpb.StatsContainerResponse{CgroupStats: &agentpb.CgroupStats{BlkioStats: &entries}})
	if err != nil {
		t.Fatal(err)
	}
	var r agentpb.StatsContainerResponse
	if err := proto.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if _, err := Any(V1, &r, 0); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if cost := after.TotalAlloc - before.TotalAlloc; cost > 64<<20 {
		t.Errorf("an answer of %d KiB cost %d MiB", len(b)>>10, cost>>20)
	} else {
		t.Logf("an answer of %d KiB cost %d MiB", len(b)>>10, cost>>20)
	}
}
