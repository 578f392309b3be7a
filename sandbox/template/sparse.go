// SPDX-License-Identifier: Apache-2.0

package template

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// pageSize is the unit in which files are looked at: the smallest that can be a
// hole.
const pageSize = 4096

// digest is the SHA-256 of the file's length and its pages with their places,
// but for those that are zero: a hole and a page of zeros read the same, and
// reading can make one of the other.
func digest(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("take the digest of a template: %w", err)
	}
	defer f.Close() // Read only: nothing to lose.
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("take the digest of a template: %w", err)
	}
	sum := sha256.New()
	number := func(n int64) { sum.Write(binary.BigEndian.AppendUint64(nil, uint64(n))) }
	number(info.Size())
	err = eachPage(ctx, f, func(at int64, page []byte) error {
		if !isZero(page) {
			number(at)
			sum.Write(page)
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("take the digest of %s: %w", path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// compact makes holes of the pages that are zero, which clones then need not
// copy, and returns how many bytes are left.
func compact(ctx context.Context, path string) (int64, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, fmt.Errorf("make a template smaller: %w", err)
	}
	defer f.Close() // What it wrote are holes.
	var left int64
	err = eachPage(ctx, f, func(at int64, page []byte) error {
		if !isZero(page) {
			left += int64(len(page))
			return nil
		}
		return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, int64(len(page)))
	})
	if err != nil {
		return 0, fmt.Errorf("make holes of what is zero in %s: %w", path, err)
	}
	return left, nil
}

// eachPage calls visit with each page of f that is not in a hole.
func eachPage(ctx context.Context, f *os.File, visit func(at int64, page []byte) error) error {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map it: %w", err)
	}
	defer func() { _ = unix.Munmap(data) }() // Read only: nothing to lose.
	for end := int64(0); ; {
		begin, err := f.Seek(end, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // Only a hole is left.
		}
		if err == nil {
			end, err = f.Seek(begin, unix.SEEK_HOLE)
		}
		if err != nil {
			return fmt.Errorf("find its data: %w", err)
		}
		for at := begin; at < end; at += pageSize {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := visit(at, data[at:min(at+pageSize, end)]); err != nil {
				return err
			}
		}
	}
}

func isZero(page []byte) bool {
	var zero [pageSize]byte
	return bytes.Equal(page, zero[:len(page)])
}
