// SPDX-License-Identifier: Apache-2.0

package sandboxapi

import (
	"encoding/json"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/katapod/katapod/sandbox"
	"github.com/katapod/katapod/shim/pod"
)

// criInfoKey is the entry of a status that containerd's CRI plugin completes and
// hands on (internal/cri/server/sandbox_status.go).
const criInfoKey = "info"

// criInfo is the part of the plugin's SandboxInfo that a shim knows. Scripts take
// the pid and the network namespace from it, as they do with a pause container.
type criInfo struct {
	PID         int         `json:"pid"`
	Status      string      `json:"processStatus"`
	RuntimeType string      `json:"runtimeType"`
	RuntimeSpec *specs.Spec `json:"runtimeSpec"`
}

// runtimeType is the name of this runtime in containerd.
const runtimeType = "io.containerd.kata.v2"

// describe is what the plugin would know of a pause container.
func describe(vm pod.Sandbox, netns string) (string, error) {
	o := vm.Options()
	status := "stopped"
	if vm.State() == sandbox.StateRunning {
		status = "running"
	}
	text, err := json.Marshal(criInfo{
		PID: vm.PID(), Status: status, RuntimeType: runtimeType,
		RuntimeSpec: &specs.Spec{
			Version: specs.Version, Hostname: o.Hostname,
			Linux: &specs.Linux{
				CgroupsPath: o.CgroupPath, Sysctl: o.Sysctls,
				Namespaces: []specs.LinuxNamespace{{Type: specs.NetworkNamespace, Path: netns}},
			},
		},
	})
	return string(text), err
}
