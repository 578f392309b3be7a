// SPDX-License-Identifier: Apache-2.0

package config

// WithAnnotations returns a copy of c changed by a pod's annotations.
func (c Config) WithAnnotations(a map[string]string) (Config, error) {
	return c.clone(), nil
}
