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
	"strings"
)

// recipe is a program (or several of one module) that is built from the Go module proxy.
type recipe struct {
	name     string
	module   string
	version  string
	cgo      bool
	tags     string
	ldflags  string
	packages []string // below the module; "" is the module's root package
	binaries []string // what the build must leave
}

// recipes are exact versions: the module proxy refuses to list versions of some of these modules, so "latest" does
// not work, and a demo that changes from day to day shows nothing.
func recipes() []recipe {
	const containerd = "github.com/containerd/containerd/v2"
	return []recipe{
		{
			name: "containerd", module: containerd, version: "v2.4.2", cgo: true,
			ldflags:  "-X " + containerd + "/version.Version=v2.4.2",
			packages: []string{"cmd/containerd", "cmd/ctr", "cmd/containerd-shim-runc-v2"},
			binaries: []string{"containerd", "ctr", "containerd-shim-runc-v2"},
		},
		{
			// runc's seccomp needs cgo and libseccomp.
			name: "runc", module: "github.com/opencontainers/runc", version: "v1.5.2", cgo: true,
			tags: "seccomp urfave_cli_no_docs", packages: []string{""}, binaries: []string{"runc"},
		},
		{
			name: "cni", module: "github.com/containernetworking/plugins", version: "v1.9.1",
			packages: []string{
				"plugins/main/bridge", "plugins/main/loopback",
				"plugins/ipam/host-local", "plugins/meta/portmap",
			},
			binaries: []string{"bridge", "loopback", "host-local", "portmap"},
		},
		{
			name: "crictl", module: "sigs.k8s.io/cri-tools", version: "v1.36.0",
			packages: []string{"cmd/crictl"}, binaries: []string{"crictl"},
		},
	}
}

// Binaries builds what is missing of containerd, runc, the CNI plugins and crictl, and returns the directory that
// holds them. cache is the project's cache directory; the programs live below it under a hash of their recipes, so
// that any checkout with the same recipes finds them.
func Binaries(ctx context.Context, cache string, progress *Progress) (string, error) {
	sum := sha256.Sum256([]byte(fmt.Sprint(runtime.Version(), runtime.GOARCH, recipes(), trixieTools)))
	dir := filepath.Join(cache, "node", hex.EncodeToString(sum[:6]))
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", fmt.Errorf("make the directory for the node's programs: %w", err)
	}
	for _, r := range recipes() {
		if r.built(bin) {
			continue
		}
		step := fmt.Sprintf("build %s %s from the Go module proxy", r.name, r.version)
		if err := progress.Step(step, func() error { return r.build(ctx, dir) }); err != nil {
			return "", fmt.Errorf("build %s %s: %w", r.module, r.version, err)
		}
	}
	if _, err := os.Stat(filepath.Join(bin, "mkfs.erofs")); err == nil {
		return bin, nil
	}
	return bin, progress.Step("unpack mkfs.erofs of Debian trixie", func() error {
		return unpackErofsTools(ctx, dir)
	})
}

func (r recipe) built(bin string) bool {
	for _, b := range r.binaries {
		if _, err := os.Stat(filepath.Join(bin, b)); err != nil {
			return false
		}
	}
	return true
}

// build makes the programs in a scratch module below dir and moves them to dir/bin when all of them are there, so
// that a build that was cut short is done again.
func (r recipe) build(ctx context.Context, dir string, instead ...standIn) error {
	scratch := filepath.Join(dir, "src", r.name)
	made := filepath.Join(scratch, "bin")
	if err := os.RemoveAll(scratch); err != nil {
		return fmt.Errorf("empty the scratch module: %w", err)
	}
	if err := os.MkdirAll(made, 0o755); err != nil {
		return fmt.Errorf("make the scratch module: %w", err)
	}
	goTool := Runner{Prefix: []string{"nice", "-n", "5"}, Dir: scratch, Env: r.environment()}
	if _, err := goTool.Run(ctx, "go", "mod", "init", "scratch/"+r.name); err != nil {
		return err
	}
	for _, module := range instead {
		if err := module.put(ctx, goTool); err != nil {
			return err
		}
	}
	if _, err := goTool.Run(ctx, "go", "get", r.module+"@"+r.version); err != nil {
		return err
	}
	args := []string{"build", "-trimpath", "-tags", r.tags, "-ldflags", strings.TrimSpace("-s -w " + r.ldflags), "-o", made + "/"}
	for _, p := range r.packages {
		args = append(args, filepath.Join(r.module, p))
	}
	if _, err := goTool.Run(ctx, "go", args...); err != nil {
		return err
	}
	for _, b := range r.binaries {
		if err := os.Rename(filepath.Join(made, b), filepath.Join(dir, "bin", b)); err != nil {
			return fmt.Errorf("take over the built program: %w", err)
		}
	}
	return os.RemoveAll(scratch)
}

// environment is this process's, without what would tie the build to the checkout it was started from.
func (r recipe) environment() []string {
	cgo := "0"
	if r.cgo {
		cgo = "1"
	}
	return append(os.Environ(), "GOFLAGS=-mod=mod -buildvcs=false", "GOWORK=off", "GO111MODULE=on", "CGO_ENABLED="+cgo)
}
