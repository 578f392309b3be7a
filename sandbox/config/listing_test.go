// SPDX-License-Identifier: Apache-2.0

package config

import (
	"slices"
	"strings"
	"testing"
)

// What is listed as accepted has to load, without a warning.
func TestListedValuesOfUnbuiltKeysLoad(t *testing.T) {
	listed := Unbuilt()
	if len(listed) != len(unbuilt()) {
		t.Fatalf("%d keys are listed, there are %d", len(listed), len(unbuilt()))
	}
	for _, k := range listed {
		dot := strings.LastIndex(k.Key, ".")
		section, key := k.Key[:dot], k.Key[dot+1:]
		accepted := k.Accepted
		if len(accepted) == 0 {
			accepted = []string{"1", `"any"`}
		}
		for _, value := range accepted {
			c := load(t, map[string]string{"base.toml": "[" + section + "]\n" + key + " = " + value + "\n"})
			if len(c.Warnings) != 0 {
				t.Errorf("%s = %s: warnings are %q", k.Key, value, c.Warnings)
			}
		}
	}
}

func TestAnnotationsAreListed(t *testing.T) {
	listed := Annotations()
	if len(listed) != len(annotationSetters()) || !slices.IsSorted(listed) ||
		!slices.Contains(listed, "io.katacontainers.config.hypervisor.kernel_params") {
		t.Errorf("listed are %q", listed)
	}
}
