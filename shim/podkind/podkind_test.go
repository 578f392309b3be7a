// SPDX-License-Identifier: Apache-2.0

package podkind

import (
	"errors"
	"testing"

	"github.com/containerd/errdefs"
)

func TestOf(t *testing.T) {
	for name, test := range map[string]struct {
		annotations map[string]string
		kind        Kind
		pod         string
		err         error
	}{
		"none":               {nil, Lone, "c", nil},
		"others":             {map[string]string{"x": "sandbox"}, Lone, "c", nil},
		"containerd sandbox": {map[string]string{"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "c"}, Sandbox, "c", nil},
		"containerd member":  {map[string]string{"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "p"}, Member, "p", nil},
		"CRI-O sandbox":      {map[string]string{"io.kubernetes.cri-o.ContainerType": "sandbox"}, Sandbox, "c", nil},
		"CRI-O member":       {map[string]string{"io.kubernetes.cri-o.ContainerType": "container", "io.kubernetes.cri-o.SandboxID": "p"}, Member, "p", nil},
		"no pod":             {map[string]string{"io.kubernetes.cri.container-type": "container"}, "", "", errdefs.ErrInvalidArgument},
		"unknown":            {map[string]string{"io.kubernetes.cri.container-type": "x"}, "", "", errdefs.ErrInvalidArgument},
	} {
		kind, pod, err := Of("c", test.annotations)
		if kind != test.kind || pod != test.pod || !errors.Is(err, test.err) {
			t.Errorf("%s: %s of pod %s, error %v", name, kind, pod, err)
		}
	}
}
