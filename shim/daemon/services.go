// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"errors"
	"os"

	"github.com/containerd/ttrpc"

	"github.com/katapod/katapod/shim/bootstrap"
	"github.com/katapod/katapod/shim/pod"
	"github.com/katapod/katapod/shim/sandboxapi"
	"github.com/katapod/katapod/shim/task"
)

// services are what one shim serves over its pod.
type services struct {
	task    *task.Service
	sandbox *sandboxapi.Service
}

// newServices makes them for a pod that is not there yet; leave ends the shim.
func newServices(namespace string, holder *pod.Pod, publisher task.Publisher, leave func()) services {
	option := os.Getenv(bootstrap.EnvConfigPath)
	s := services{
		task: task.New(task.Setup{
			Namespace: namespace, ConfigPath: option, Configure: pod.Configure,
			Pod: holder, Events: publisher, Shutdown: leave,
		}),
		sandbox: sandboxapi.New(sandboxapi.Setup{
			Namespace: namespace, ConfigPath: option, Configure: pod.Configure,
			Pod: holder, Shutdown: leave,
		}),
	}
	holder.Follow(s.task.ForwardOOM)
	return s
}

func (s services) register(server *ttrpc.Server) error {
	return errors.Join(s.task.RegisterTTRPC(server), s.sandbox.RegisterTTRPC(server))
}
