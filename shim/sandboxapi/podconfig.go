// SPDX-License-Identifier: Apache-2.0

package sandboxapi

import (
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/katapod/katapod/sandbox/sizing"
)

// configType is the CRI message that containerd sends as a sandbox's options.
const configType = "runtime.v1.PodSandboxConfig"

// podConfig is the part of it that matters to a VM.
type podConfig struct {
	hostname                  string
	servers, searches, dnsOpt []string
	labels                    map[string]string
	annotations, sysctls      map[string]string
	cgroupParent              string
	cgroupsPath, netns        string // of an OCI specification
	hostNetwork, hostIPC      bool
	sharedPID                 bool
	resources                 sizing.Request
}

// Values of the CRI's NamespaceMode.
const (
	modePod  = 0
	modeNode = 2
)

// readConfig reads the options of CreateSandbox. Field numbers are those of
// cri-api's pkg/apis/runtime/v1/api.proto.
func readConfig(options *anypb.Any) (podConfig, error) {
	if options == nil || !strings.HasSuffix(options.TypeUrl, configType) {
		return podConfig{}, fmt.Errorf("the sandbox's options are of type %q; a %s is needed, or an OCI specification in the bundle: %w",
			options.GetTypeUrl(), configType, errdefs.ErrInvalidArgument)
	}
	c, err := decodeConfig(options.Value)
	if err != nil {
		return podConfig{}, fmt.Errorf("read the pod's configuration: %w", err)
	}
	return c, nil
}

func decodeConfig(message []byte) (c podConfig, err error) {
	top, err := parse(message)
	if err != nil {
		return podConfig{}, err
	}
	c.hostname = top.text(2)
	dns, err := top.message(4)
	if err != nil {
		return podConfig{}, err
	}
	c.servers, c.searches, c.dnsOpt = dns.texts(1), dns.texts(2), dns.texts(3)
	if c.labels, err = top.pairs(6); err != nil {
		return podConfig{}, err
	}
	if c.annotations, err = top.pairs(7); err != nil {
		return podConfig{}, err
	}
	linux, err := top.message(8)
	if err != nil {
		return podConfig{}, err
	}
	return c, c.decodeLinux(linux)
}

func (c *podConfig) decodeLinux(linux fields) (err error) {
	c.cgroupParent = linux.text(1)
	security, err := linux.message(2)
	if err != nil {
		return err
	}
	namespaces, err := security.message(1)
	if err != nil {
		return err
	}
	c.hostNetwork = namespaces.integer(1) == modeNode
	c.sharedPID = namespaces.integer(2) == modePod
	c.hostIPC = namespaces.integer(3) == modeNode
	if err := checkUsers(namespaces); err != nil {
		return err
	}
	if c.sysctls, err = linux.pairs(3); err != nil {
		return err
	}
	c.openNetwork(hasUsers(namespaces))
	resources, err := linux.message(5)
	if err != nil {
		return err
	}
	c.resources = request(resources)
	return nil
}

// request reads a LinuxContainerResources.
func request(f fields) sizing.Request {
	return sizing.Request{
		CPUPeriod: uint64(f.integer(1)), CPUQuota: f.integer(2), CPUShares: uint64(f.integer(3)),
		MemoryBytes: f.integer(4), Cpuset: f.text(6),
	}
}
