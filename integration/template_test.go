// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"errors"
	"testing"
	"time"

	"github.com/katapod/katapod/integration/interrupt"
	"github.com/katapod/katapod/integration/node"
	"github.com/katapod/katapod/sandbox"
)

// The first pods of a kind boot; later ones are clones of a template, without
// anybody having asked, and each is a machine of its own.
func TestPodFromTemplate(t *testing.T) {
	if shared.runtime == "runc" {
		t.Skip("runc has no virtual machine that could be cloned")
	}
	begin(t)
	// Pods go before the build of a template, which may take its time on a busy machine.
	ctx := interrupt.Bound(t, shared.interrupted, 12*time.Minute)
	pause := 2 * time.Second
	waitFor(t, 10*time.Minute, "a pod from a template", func() bool {
		spec := node.Pod{Name: "template", Handler: shared.runtime}
		id, err := shared.RunPod(ctx, spec)
		if err != nil {
			t.Fatal(err)
		}
		line, err := shared.Timeline(id)
		if err := errors.Join(err, shared.RemovePod(ctx, id)); err != nil {
			t.Fatal(err)
		}
		if line.Origin.Kind == sandbox.OriginBoot && line.Origin.Reason == "" {
			t.Error("the pod does not say why it booted")
		}
		if line.Origin.Kind != sandbox.OriginTemplate {
			<-time.After(pause) // pods that boot keep the template from being made
			pause = min(2*pause, 30*time.Second)
		}
		return line.Origin.Kind == sandbox.OriginTemplate
	})
	boots := map[string]bool{}
	for _, name := range []string{"clone-1", "clone-2"} {
		pod := startPod(t, node.Pod{Name: name})
		line, err := shared.Timeline(pod.id)
		if err != nil || line.Origin.Kind != sandbox.OriginTemplate {
			t.Errorf("the origin of %s is %+v, %v", name, line.Origin, err)
		}
		id := pod.start(node.Container{Name: "main", Args: []string{"probe", "pause"}})
		boots[pod.exec(id, "cat", "/proc/sys/kernel/random/boot_id")] = true
	}
	if len(boots) != 2 {
		t.Errorf("two clones have the boot ids %v", boots)
	}
}
