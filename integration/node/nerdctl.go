// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// nerdctlRecipes are nerdctl and the CNI plugins of the networks that it makes.
func nerdctlRecipes() []recipe {
	const module, version = "github.com/containerd/nerdctl/v2", "v2.2.1"
	return []recipe{
		{
			name: "nerdctl", module: module, version: version,
			ldflags:  "-X " + module + "/pkg/version.Version=" + version,
			packages: []string{"cmd/nerdctl"}, binaries: []string{"nerdctl"},
		},
		{
			name: "cni", module: "github.com/containernetworking/plugins", version: "v1.9.1",
			packages: []string{
				"plugins/main/bridge", "plugins/main/loopback", "plugins/ipam/host-local",
				"plugins/meta/portmap", "plugins/meta/firewall", "plugins/meta/tuning",
			},
			binaries: []string{"bridge", "loopback", "host-local", "portmap", "firewall", "tuning"},
		},
	}
}

// nerdctlTestTool is for a module in nerdctl's own repository, to which its go.mod leads by a relative path; the module
// proxy has nothing of it. Helpers of nerdctl's tests, which the program links and never calls, need this type of it.
func nerdctlTestTool() standIn {
	return standIn{
		module: "github.com/containerd/nerdctl/mod/tigron", pkg: "tig",
		content: "package tig\n\ntype T interface {\n\tLog(...any)\n\tFailNow()\n}\n",
	}
}

// Nerdctl builds what is missing of nerdctl and its CNI plugins, and returns the directory that holds them, below cache;
// see Binaries.
func Nerdctl(ctx context.Context, cache string, progress *Progress) (string, error) {
	sum := sha256.Sum256([]byte(fmt.Sprint(runtime.Version(), runtime.GOARCH, nerdctlRecipes(), nerdctlTestTool())))
	dir := filepath.Join(cache, "nerdctl", hex.EncodeToString(sum[:6]))
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", fmt.Errorf("make the directory for nerdctl: %w", err)
	}
	for _, r := range nerdctlRecipes() {
		if r.built(bin) {
			continue
		}
		step := fmt.Sprintf("build %s %s from the Go module proxy", r.name, r.version)
		if err := progress.Step(step, func() error { return r.build(ctx, dir, nerdctlTestTool()) }); err != nil {
			return "", fmt.Errorf("build %s %s: %w", r.module, r.version, err)
		}
	}
	return bin, nil
}
