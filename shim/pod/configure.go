// SPDX-License-Identifier: Apache-2.0

package pod

import (
	"context"

	"github.com/containerd/log"

	"github.com/katapod/katapod/sandbox/config"
)

// Configure reads the configuration of a pod: the file that the annotations or
// the runtime's options name, or a default one, changed by the annotations. What
// the file says that nobody understands is logged.
func Configure(ctx context.Context, annotations map[string]string, option string) (config.Config, error) {
	path, err := config.Find(annotations[config.PathAnnotation], option)
	if err != nil {
		return config.Config{}, err
	}
	c, err := config.Load(path)
	if err != nil {
		return config.Config{}, err
	}
	if c, err = c.WithAnnotations(annotations); err != nil {
		return config.Config{}, err
	}
	for _, warning := range c.Warnings {
		log.G(ctx).Warn(warning)
	}
	return c, nil
}
