// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/shutdown"
	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/log"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"
	"github.com/containerd/ttrpc"

	"github.com/katapod/katapod/shim/bootstrap"
	"github.com/katapod/katapod/shim/events"
	"github.com/katapod/katapod/shim/pod"
	"github.com/katapod/katapod/shim/sandboxapi"
	"github.com/katapod/katapod/shim/task"
)

// flushTimeout bounds how long a leaving shim waits for containerd to take the
// last events.
const flushTimeout = 5 * time.Second

// Register registers the services, which pkg/shim makes and serves.
func Register() {
	registry.Register(&plugin.Registration{
		Type:     plugins.TTRPCPlugin,
		ID:       "pod",
		Requires: []plugin.Type{plugins.InternalPlugin},
		InitFn:   func(ic *plugin.InitContext) (any, error) { return newServices(ic) },
	})
}

// services are what one shim serves over its pod.
type services struct {
	task    *task.Service
	sandbox *sandboxapi.Service
}

// RegisterTTRPC registers all of them; pkg/shim calls it.
func (s services) RegisterTTRPC(server *ttrpc.Server) error {
	return errors.Join(s.task.RegisterTTRPC(server), s.sandbox.RegisterTTRPC(server))
}

func newServices(ic *plugin.InitContext) (services, error) {
	way, err := wayOut(ic)
	if err != nil {
		return services{}, err
	}
	namespace, err := namespaces.NamespaceRequired(ic.Context)
	if err != nil {
		return services{}, fmt.Errorf("the shim's namespace: %w", err)
	}
	queue, err := newQueue(ic.Context, namespace, ic.Properties[plugins.PropertyTTRPCAddress])
	if err != nil {
		return services{}, err
	}
	var all services
	holder := pod.New(pod.Real, func(s pod.Sandbox) { all.task.ForwardOOM(s) })
	option := os.Getenv(bootstrap.EnvConfigPath)
	all.task = task.New(task.Setup{
		Namespace: namespace, ConfigPath: option, Configure: pod.Configure,
		Pod: holder, Events: queue, Shutdown: way.Shutdown,
	})
	all.sandbox = sandboxapi.New(sandboxapi.Setup{
		Namespace: namespace, ConfigPath: option, Configure: pod.Configure,
		Pod: holder, Shutdown: way.Shutdown,
	})
	way.RegisterCallback(func(ctx context.Context) error { return leave(ctx, holder, queue) })
	return all, nil
}

// wayOut is what ends pkg/shim's server.
func wayOut(ic *plugin.InitContext) (shutdown.Service, error) {
	found, err := ic.GetByID(plugins.InternalPlugin, "shutdown")
	if err != nil {
		return nil, fmt.Errorf("find the shim's way out: %w", err)
	}
	way, ok := found.(shutdown.Service)
	if !ok {
		return nil, fmt.Errorf("the shim's way out is a %T", found)
	}
	return way, nil
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
