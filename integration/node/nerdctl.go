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

// nerdctlTestTool is for a module in nerdctl's own repository, to which its go.mod leads by a relative path; the module
// proxy has nothing of it. Helpers of nerdctl's tests, which the program links and never calls, need this type of it.
func nerdctlTestTool() standIn {
	return standIn{
		module: "github.com/containerd/nerdctl/mod/tigron", pkg: "tig",
		content: "package tig\n\ntype T interface {\n\tLog(...any)\n\tFailNow()\n}\n",
	}
}

func nerdctlRecipe() recipe {
	const module, version = "github.com/containerd/nerdctl/v2", "v2.2.1"
	return recipe{
		name: "nerdctl", module: module, version: version,
		ldflags:  "-X " + module + "/pkg/version.Version=" + version,
		packages: []string{"cmd/nerdctl"}, binaries: []string{"nerdctl"},
	}
}

// Nerdctl builds nerdctl when it is not there yet and returns the directory that holds it, below cache; see Binaries.
func Nerdctl(ctx context.Context, cache string, progress *Progress) (string, error) {
	r := nerdctlRecipe()
	sum := sha256.Sum256([]byte(fmt.Sprint(runtime.Version(), runtime.GOARCH, r, nerdctlTestTool())))
	dir := filepath.Join(cache, "nerdctl", hex.EncodeToString(sum[:6]))
	bin := filepath.Join(dir, "bin")
	if r.built(bin) {
		return bin, nil
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", fmt.Errorf("make the directory for nerdctl: %w", err)
	}
	step := fmt.Sprintf("build %s %s from the Go module proxy", r.name, r.version)
	if err := progress.Step(step, func() error { return r.build(ctx, dir, nerdctlTestTool()) }); err != nil {
		return "", fmt.Errorf("build %s %s: %w", r.module, r.version, err)
	}
	return bin, nil
}
