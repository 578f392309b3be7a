// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/containerd/errdefs"
)

const (
	// PathAnnotation names the file for one pod.
	PathAnnotation = "io.katacontainers.config_path"
	// PathVariable is the environment variable that names the file.
	PathVariable = "KATA_CONF_FILE"
)

// Find returns the path of the configuration file: the annotation's value if
// there is one, the runtime option ConfigPath, the variable KATA_CONF_FILE, then
// the two well-known places. The first three are somebody's explicit wish: a
// file that is missing there is an error, not a reason to look further. The
// error is errdefs.ErrNotFound and lists where the search went.
func Find(annotation, option string) (path string, err error) {
	return find(annotation, option, os.Getenv(PathVariable), []string{
		"/etc/kata-containers/configuration.toml",
		"/usr/share/defaults/kata-containers/configuration.toml",
	})
}

func find(annotation, option, variable string, places []string) (string, error) {
	for _, wish := range []struct{ path, from string }{
		{annotation, "annotation " + PathAnnotation},
		{option, "option ConfigPath of the containerd runtime"},
		{variable, "environment variable " + PathVariable},
	} {
		if wish.path == "" {
			continue
		}
		if err := readable(wish.path); err != nil {
			return "", fmt.Errorf("configuration file %s, named by the %s: %w", wish.path, wish.from, err)
		}
		return wish.path, nil
	}
	for _, place := range places {
		err := readable(place)
		if err == nil {
			return place, nil
		}
		if !errors.Is(err, errdefs.ErrNotFound) {
			return "", fmt.Errorf("configuration file %s: %w", place, err)
		}
	}
	return "", fmt.Errorf("no configuration file in %s; create one of them, or name a file by the annotation %s, "+
		"the runtime option ConfigPath or the variable %s: %w",
		strings.Join(places, " or "), PathAnnotation, PathVariable, errdefs.ErrNotFound)
}

func readable(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("it does not exist: %w", errdefs.ErrNotFound)
	case err != nil:
		return fmt.Errorf("cannot be used: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("it is not a regular file: %w", errdefs.ErrInvalidArgument)
	}
	return nil
}
