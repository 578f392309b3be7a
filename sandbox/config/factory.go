// SPDX-License-Identifier: Apache-2.0

package config

import "path/filepath"

// Factory is what the section [factory] says.
type Factory struct {
	// EnableTemplate makes pods start from saved VMs. True by default, unlike
	// upstream.
	EnableTemplate bool `toml:"enable_template"`
	// TemplatePath is the directory of the saved VMs; empty is one below the
	// runtime's state_dir, see [Config.TemplateDir].
	TemplatePath string `toml:"template_path"`
}

// TemplateDir is the directory of the saved VMs. By default it is where upstream
// has it.
func (c Config) TemplateDir() string {
	if c.Factory.TemplatePath != "" {
		return c.Factory.TemplatePath
	}
	return filepath.Join(c.Runtime.StateDir, "vm", "template")
}

// maxTemplatePath leaves room for the socket of a VM that is about to be saved,
// in bytes.
const maxTemplatePath = 40

func factoryChecks(f Factory) []check {
	const key = "factory.template_path"
	return []check{
		path(key, f.TemplatePath, false),
		{key, f.TemplatePath, len(f.TemplatePath) <= maxTemplatePath, "an absolute path of at most 40 bytes, since unix sockets lie below it"},
	}
}
