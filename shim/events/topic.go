// SPDX-License-Identifier: Apache-2.0

package events

import (
	"fmt"

	"github.com/containerd/containerd/api/events"
	"github.com/containerd/errdefs"
	"google.golang.org/protobuf/proto"
)

// topic is the name under which containerd's subscribers filter an event, as
// its core/runtime package lists them.
func topic(event proto.Message) (string, error) {
	switch event.(type) {
	case *events.TaskCreate:
		return "/tasks/create", nil
	case *events.TaskStart:
		return "/tasks/start", nil
	case *events.TaskExit:
		return "/tasks/exit", nil
	case *events.TaskDelete:
		return "/tasks/delete", nil
	case *events.TaskOOM:
		return "/tasks/oom", nil
	case *events.TaskExecAdded:
		return "/tasks/exec-added", nil
	case *events.TaskExecStarted:
		return "/tasks/exec-started", nil
	case *events.TaskPaused:
		return "/tasks/paused", nil
	case *events.TaskResumed:
		return "/tasks/resumed", nil
	default:
		return "", fmt.Errorf("an event of type %s has no topic: %w",
			event.ProtoReflect().Descriptor().FullName(), errdefs.ErrInvalidArgument)
	}
}
