// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
)

// Prefixes of annotations that change a pod's configuration.
const (
	annotationHypervisor = "io.katacontainers.config.hypervisor."
	annotationRuntime    = "io.katacontainers.config.runtime."
	annotationAgent      = "io.katacontainers.config.agent."
	annotationConfig     = "io.katacontainers.config."
)

// WithAnnotations returns a copy of c changed by a pod's annotations. Those
// below io.katacontainers.config.hypervisor. need a regular expression of
// enable_annotations that matches the rest of their name; paths among them need
// a glob of their valid_*_paths, too. One that is not allowed or not known, or
// has a wrong value, is an error that names it. Keys outside of
// io.katacontainers.config. are not looked at.
func (c Config) WithAnnotations(a map[string]string) (Config, error) {
	next := c.clone()
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if !strings.HasPrefix(name, annotationConfig) {
			continue
		}
		if err := next.annotate(name, a[name]); err != nil {
			return Config{}, err
		}
	}
	for _, check := range checks(next) {
		if !check.ok {
			return Config{}, problem{check: check, source: "configuration " + c.Path + " with the pod's annotations"}
		}
	}
	return next, nil
}

// annotate applies one annotation.
func (c *Config) annotate(name, value string) error {
	set, ok := annotationSetters()[name]
	if !ok {
		return unknownAnnotation(name, value)
	}
	if key, isHypervisor := strings.CutPrefix(name, annotationHypervisor); isHypervisor {
		if err := c.allowed(name, key); err != nil {
			return err
		}
		if err := c.allowedPath(name, key, value); err != nil {
			return err
		}
	}
	if err := set(c, value); err != nil {
		return fmt.Errorf("annotation %s = %q: %w: %w", name, value, err, errdefs.ErrInvalidArgument)
	}
	return nil
}

// allowed asks enable_annotations.
func (c *Config) allowed(name, key string) error {
	for _, pattern := range c.Hypervisor.EnableAnnotations {
		re, err := regexp.Compile("^(?:" + pattern + ")$")
		if err != nil {
			return fmt.Errorf("configuration %s: enable_annotations: %q is no regular expression: %w: %w", c.Path, pattern, err, errdefs.ErrInvalidArgument)
		}
		if re.MatchString(key) {
			return nil
		}
	}
	return fmt.Errorf("annotation %s is not allowed; to allow it, add %q to enable_annotations in [hypervisor.qemu] of %s: %w",
		name, key, c.Path, errdefs.ErrPermissionDenied)
}

// allowedPath asks the globs of the annotations that name a file to be run or
// opened by the host.
func (c *Config) allowedPath(name, key, value string) error {
	lists := map[string]struct {
		key   string
		globs []string
	}{
		"path":             {"valid_hypervisor_paths", c.Hypervisor.ValidPaths},
		"virtio_fs_daemon": {"valid_virtio_fs_daemon_paths", c.Hypervisor.ValidVirtioFSDaemonPaths},
		"entropy_source":   {"valid_entropy_sources", c.Hypervisor.ValidEntropySources},
	}
	list, ok := lists[key]
	if !ok {
		return nil
	}
	for _, glob := range list.globs {
		if match, err := filepath.Match(glob, value); err == nil && match {
			return nil
		}
	}
	return fmt.Errorf("annotation %s = %q is not allowed; to allow it, add the path to %s in [hypervisor.qemu] of %s: %w",
		name, value, list.key, c.Path, errdefs.ErrPermissionDenied)
}

// unknownAnnotation tells features that are not built yet from names that are
// wrong.
func unknownAnnotation(name, value string) error {
	key := strings.Replace(name, annotationHypervisor, "hypervisor.qemu.", 1)
	key = strings.Replace(key, annotationRuntime, "runtime.", 1)
	key = strings.Replace(key, annotationAgent, "agent.kata.", 1)
	if values, ok := unbuilt()[key]; ok {
		if values.includeText(value) {
			return nil
		}
		return fmt.Errorf("annotation %s = %q asks for a feature that this version does not support; remove it: %w", name, value, errdefs.ErrNotImplemented)
	}
	return fmt.Errorf("annotation %s is not known; known are those below %s, %s and %s with the names of the documentation: %w",
		name, annotationHypervisor, annotationRuntime, annotationAgent, errdefs.ErrInvalidArgument)
}

// includeText is include for a value that is text.
func (o off) includeText(value string) bool {
	return o == nil || slices.ContainsFunc(o, func(v any) bool { return fmt.Sprint(v) == value })
}

// setter parses a value and puts it in its place.
type setter func(c *Config, value string) error

func text(field func(*Config) *string) setter {
	return func(c *Config, value string) error { *field(c) = value; return nil }
}

func number(field func(*Config) *int) setter {
	return func(c *Config, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("the value is no whole number")
		}
		*field(c) = n
		return nil
	}
}

func seconds(field func(*Config) *Seconds) setter {
	return func(c *Config, value string) error {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return fmt.Errorf("the value is no whole number of seconds")
		}
		*field(c) = Seconds(n)
		return nil
	}
}

func truth(field func(*Config) *bool) setter {
	return func(c *Config, value string) error {
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("allowed is true or false")
		}
		*field(c) = b
		return nil
	}
}
