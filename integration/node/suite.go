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

// Suite is where the programs of the CRI's conformance suite are.
type Suite struct {
	CRITest string // the suite itself
	Busybox string // a static busybox with upstream's default configuration, for its images
}

// critestVersion is exact because the module proxy refuses to list the versions of cri-tools.
const critestVersion = "v1.36.0"

// busyboxScript builds the busybox of a Debian source package whose files are in the working directory. Debian's own
// binaries will not do for the suite's images: the static one runs its applets inside its shell, and neither has
// ipcs, pgrep or a complete nc. tc is left out since it does not compile with today's kernel headers.
const busyboxScript = `set -e
tar -xjf busybox_*.orig.tar.bz2
cd busybox-*
make -s defconfig </dev/null >/dev/null 2>&1
sed -i -e 's/^# CONFIG_STATIC is not set/CONFIG_STATIC=y/' -e 's/^CONFIG_TC=y/# CONFIG_TC is not set/' .config
make -s -j2 busybox </dev/null >build.log 2>&1 || { tail -n 20 build.log >&2; exit 1; }
install -m 0755 busybox ../../busybox.new
`

// BuildSuite builds what is missing of the suite in the cache; see Binaries.
func BuildSuite(ctx context.Context, cache string, progress *Progress) (Suite, error) {
	sum := sha256.Sum256([]byte(fmt.Sprint(runtime.Version(), runtime.GOARCH, critestVersion, busyboxScript)))
	dir := filepath.Join(cache, "critest", hex.EncodeToString(sum[:6]))
	s := Suite{CRITest: filepath.Join(dir, "critest"), Busybox: filepath.Join(dir, "busybox")}
	for _, program := range []struct {
		path, step string
		build      func(context.Context, string) error
	}{
		{s.CRITest, "build critest " + critestVersion + " from the Go module proxy", buildCRITest},
		{s.Busybox, "build busybox from Debian trixie's source", buildBusybox},
	} {
		if _, err := os.Stat(program.path); err == nil {
			continue
		}
		err := progress.Step(program.step, func() error { return program.build(ctx, dir) })
		if err != nil {
			return Suite{}, fmt.Errorf("%s: %w", program.step, err)
		}
	}
	return s, nil
}

// buildCRITest leaves dir/critest, which is a test binary, when all went well.
func buildCRITest(ctx context.Context, dir string) error {
	const module = "sigs.k8s.io/cri-tools"
	source, err := emptyDir(dir, "src-critest")
	if err != nil {
		return err
	}
	goTool := Runner{Prefix: []string{"nice", "-n", "5"}, Dir: source, Env: recipe{}.environment()}
	for _, words := range [][]string{
		{"mod", "init", "scratch/critest"},
		{"get", module + "@" + critestVersion},
		{"test", "-c", "-trimpath", "-ldflags", "-s -w", "-o", "../critest.new", module + "/cmd/critest"},
	} {
		if _, err := goTool.Run(ctx, "go", words...); err != nil {
			return err
		}
	}
	return takeOver(dir, "critest", source)
}

// buildBusybox leaves dir/busybox when all went well.
func buildBusybox(ctx context.Context, dir string) error {
	source, err := emptyDir(dir, "src-busybox")
	if err != nil {
		return err
	}
	apt, err := privateApt(ctx, filepath.Join(source, "apt"), mirror("deb-src", "trixie"))
	if err != nil {
		return err
	}
	if err := apt.run(ctx, source, "source", "--download-only", "busybox"); err != nil {
		return err
	}
	if _, err := (Runner{Prefix: []string{"nice", "-n", "5"}, Dir: source}).Run(ctx, "sh", "-c", busyboxScript); err != nil {
		return err
	}
	return takeOver(dir, "busybox", source)
}

func emptyDir(parent, name string) (string, error) {
	dir := filepath.Join(parent, name)
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("empty a directory to build in: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a directory to build in: %w", err)
	}
	return dir, nil
}

// takeOver gives the built program its name, so that a build that was cut short is done again.
func takeOver(dir, name, source string) error {
	if err := os.Rename(filepath.Join(dir, name+".new"), filepath.Join(dir, name)); err != nil {
		return fmt.Errorf("take over the built program: %w", err)
	}
	return os.RemoveAll(source)
}
