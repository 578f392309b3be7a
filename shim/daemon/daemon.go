// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/shutdown"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/log"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"

	"github.com/katapod/katapod/shim/bootstrap"
	"github.com/katapod/katapod/shim/events"
	"github.com/katapod/katapod/shim/pod"
	"github.com/katapod/katapod/shim/task"
)

// flushTimeout bounds how long a leaving shim waits for containerd to take the
// last events.
const flushTimeout = 5 * time.Second

// Register registers the services, which pkg/shim makes and serves.
func Register() {
	registry.Register(&plugin.Registration{
		Type:     plugins.TTRPCPlugin,
		ID:       "task",
		Requires: []plugin.Type{plugins.InternalPlugin},
		InitFn:   func(ic *plugin.InitContext) (any, error) { return newTaskService(ic) },
	})
}

func newTaskService(ic *plugin.InitContext) (*task.Service, error) {
	found, err := ic.GetByID(plugins.InternalPlugin, "shutdown")
	if err != nil {
		return nil, fmt.Errorf("find the shim's way out: %w", err)
	}
	way, ok := found.(shutdown.Service)
	if !ok {
		return nil, fmt.Errorf("the shim's way out is a %T", found)
	}
	namespace, err := namespaces.NamespaceRequired(ic.Context)
	if err != nil {
		return nil, fmt.Errorf("the shim's namespace: %w", err)
	}
	queue, err := newQueue(ic.Context, namespace, ic.Properties[plugins.PropertyTTRPCAddress])
	if err != nil {
		return nil, err
	}
	var service *task.Service
	holder := pod.New(pod.Real, func(s pod.Sandbox) { service.ForwardOOM(s) })
	service = task.New(task.Setup{
		Namespace:  namespace,
		ConfigPath: os.Getenv(bootstrap.EnvConfigPath),
		Configure:  pod.Configure,
		Pod:        holder,
		Events:     queue,
		Shutdown:   way.Shutdown,
	})
	way.RegisterCallback(func(ctx context.Context) error { return leave(ctx, holder, queue) })
	return service, nil
}

func newQueue(ctx context.Context, namespace, address string) (*events.Queue, error) {
	if address == "" {
		log.G(ctx).Info("containerd gave no address for events; they go to this log")
	}
	forwarder, err := events.NewForwarder(address)
	if err != nil {
		return nil, err
	}
	return events.New(ctx, namespace, forwarder), nil
}

// leave ends the pod, when a signal ends the shim under it, and hands over the
// last events.
func leave(ctx context.Context, p *pod.Pod, q *events.Queue) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := p.End(ctx); err != nil {
		log.G(ctx).WithError(err).Error("the pod did not end cleanly; the delete action releases the rest")
	}
	return q.Close(ctx)
}
