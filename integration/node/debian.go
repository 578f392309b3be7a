// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
)

// Debian is a set of Debian packages by exact version: real programs of another release than the machine's, unpacked
// and never installed. They run where the machine's C library is new enough for them.
type Debian struct {
	Suite    string // of the archive, for example "trixie"
	Moment   string // when the snapshot archive had these versions, for example 20251120T000000Z
	Packages []DebianPackage
}

// DebianPackage is one package.
type DebianPackage struct {
	Name, Version string
	SHA256        string // of the .deb file, in hexadecimal
}

// Unpack returns the directory below cache (see CacheDir) where the packages are unpacked, and downloads and unpacks
// them first when they are not there yet. What is in it starts at the package's root: usr/bin, for example.
func (d Debian) Unpack(ctx context.Context, cache string, progress *Progress) (string, error) {
	sum := sha256.Sum256([]byte(fmt.Sprint(d)))
	dir := filepath.Join(cache, "debian", hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	err := progress.Step("unpack "+d.String(), func() error {
		work, err := emptyDir(filepath.Dir(dir), filepath.Base(dir)+".new")
		if err != nil {
			return err
		}
		if err := d.download(ctx, work); err != nil {
			return errors.Join(err, os.RemoveAll(work))
		}
		tree := filepath.Join(work, "tree")
		for _, p := range d.Packages {
			if err := p.unpack(ctx, work, tree); err != nil {
				return errors.Join(err, os.RemoveAll(work))
			}
		}
		if err := os.Rename(tree, dir); err != nil {
			return fmt.Errorf("take over the unpacked packages: %w", err)
		}
		return os.RemoveAll(work)
	})
	if err != nil {
		return "", fmt.Errorf("unpack %s: %w", d, err)
	}
	return dir, nil
}

// String names the packages with their versions, for people.
func (d Debian) String() string {
	var names []string
	for _, p := range d.Packages {
		names = append(names, p.Name+" "+p.Version)
	}
	return fmt.Sprintf("%s of Debian %s", strings.Join(names, ", "), d.Suite)
}

// download puts the .deb files into the directory, from the mirror as long as it has these versions, else from the
// snapshot archive.
func (d Debian) download(ctx context.Context, dir string) error {
	var names []string
	for _, p := range d.Packages {
		names = append(names, p.Name+"="+p.Version)
	}
	var errs []error
	for i, source := range []string{mirror("deb", d.Suite), snapshot(d.Suite, d.Moment)} {
		apt, err := privateApt(ctx, filepath.Join(dir, fmt.Sprintf("apt%d", i)), source)
		if err == nil {
			err = apt.run(ctx, dir, append([]string{"download"}, names...)...)
		}
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// unpack verifies the package's file, which lies in dir, and adds what it holds to the tree.
func (p DebianPackage) unpack(ctx context.Context, dir, tree string) error {
	found, err := filepath.Glob(filepath.Join(dir, p.Name+"_*.deb"))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("apt downloaded %d files of the package %s, not 1: %w", len(found), p.Name, errdefs.ErrNotFound)
	}
	sum, err := fileSum(found[0])
	if err != nil {
		return err
	}
	if sum != p.SHA256 {
		return fmt.Errorf("the file of the package %s %s has the SHA-256 sum %s, not %s: %w",
			p.Name, p.Version, sum, p.SHA256, errdefs.ErrDataLoss)
	}
	_, err = (Runner{}).Run(ctx, "dpkg-deb", "-x", found[0], tree)
	return err
}

func fileSum(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read a downloaded package: %w", err)
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", fmt.Errorf("read a downloaded package: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
