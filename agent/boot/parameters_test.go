// SPDX-License-Identifier: Apache-2.0

package boot

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestParseCommandLine(t *testing.T) {
	p, errs := ParseCommandLine("root=/dev/vda quiet agent.log=debug agent.debug_console agent.debug_console_vport=1026 " +
		"agent.log_vport=1025 agent.hotplug_timeout=10 agent.container_pipe_size=65536 agent.devmode=true agent.emulated")
	want := Parameters{
		LogLevel: slog.LevelDebug, DebugConsole: true, DebugConsolePort: 1026, LogPort: 1025,
		HotplugTimeout: 10 * time.Second, ContainerPipeSize: 65536, DevMode: true, Emulated: true,
	}
	if p != want || len(errs) != 0 {
		t.Errorf("%+v, %v", p, errs)
	}
}

func TestBadParametersKeepTheirDefaults(t *testing.T) {
	words := []string{"agent.log=loud", "agent.debug_console=maybe", "agent.debug_console_vport=x", "agent.log_vport=-1",
		"agent.hotplug_timeout=0", "agent.container_pipe_size=big", "agent.devmode=2", "agent.emulated=perhaps", "agent.new=1"}
	p, errs := ParseCommandLine(strings.Join(words, " "))
	if p != DefaultParameters() {
		t.Errorf("%+v", p)
	}
	if len(errs) != len(words) {
		t.Fatalf("%d complaints about %d words: %v", len(errs), len(words), errs)
	}
	for i, w := range words {
		if !strings.Contains(errs[i].Error(), w) {
			t.Errorf("%v does not name %s", errs[i], w)
		}
	}
}
