// SPDX-License-Identifier: Apache-2.0

package events

import (
	"context"
	"errors"
	"fmt"

	eventsapi "github.com/containerd/containerd/api/services/ttrpc/events/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/v2/pkg/ttrpcutil"
	"github.com/containerd/log"
	"github.com/containerd/ttrpc"

	"github.com/katapod/katapod/protocols/timeouts"
)

// NewForwarder hands events to containerd's ttrpc socket; without an address it
// writes them to the log. It connects when the first event comes.
func NewForwarder(address string) (Forwarder, error) {
	if address == "" {
		return logForwarder{}, nil
	}
	client, err := ttrpcutil.NewClient(address)
	if err != nil {
		return nil, fmt.Errorf("prepare the connection for events to %s: %w", address, err)
	}
	return &ttrpcForwarder{client: client}, nil
}

type ttrpcForwarder struct{ client *ttrpcutil.Client }

// Forward implements Forwarder. A connection that containerd closed, as when it
// restarts, is made anew once per attempt.
func (f *ttrpcForwarder) Forward(ctx context.Context, event *types.Envelope) error {
	err := f.send(ctx, event)
	if !errors.Is(err, ttrpc.ErrClosed) {
		return err
	}
	if err := f.client.Reconnect(); err != nil {
		return fmt.Errorf("connect to containerd again: %w", err)
	}
	return f.send(ctx, event)
}

func (f *ttrpcForwarder) send(ctx context.Context, event *types.Envelope) error {
	service, err := f.client.EventsService()
	if err != nil {
		return fmt.Errorf("reach containerd's event service: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeouts.Event)
	defer cancel()
	if _, err := service.Forward(ctx, &eventsapi.ForwardRequest{Envelope: event}); err != nil {
		return fmt.Errorf("forward event %s: %w", event.Topic, err)
	}
	return nil
}

func (f *ttrpcForwarder) Close() error { return f.client.Close() }

type logForwarder struct{}

func (logForwarder) Forward(ctx context.Context, event *types.Envelope) error {
	log.G(ctx).WithField("topic", event.Topic).WithField("event", event.Event.String()).Info("event")
	return nil
}

func (logForwarder) Close() error { return nil }
