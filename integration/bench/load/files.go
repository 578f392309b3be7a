// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const chunk = 1 << 20

func read(args []string) error {
	file, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer file.Close()
	begin := time.Now()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{file}, make([]byte, chunk))
	if err != nil {
		return err
	}
	return printRate(n, time.Since(begin))
}

func printRate(bytes int64, took time.Duration) error {
	_, err := fmt.Printf("%.1f\n", float64(bytes)/1e6/took.Seconds())
	return err
}

func printTime(unit time.Duration, took time.Duration) error {
	_, err := fmt.Printf("%.1f\n", float64(took)/float64(unit))
	return err
}

// files makes a directory of its own in the one given, and leaves nothing.
func files(args []string) error {
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return fmt.Errorf("the count of files is a number: %w", err)
	}
	dir, err := os.MkdirTemp(args[0], "load-")
	if err != nil {
		return err
	}
	for _, part := range []func(string, int) error{create, list, remove} {
		begin := time.Now()
		if err := part(dir, count); err != nil {
			return err
		}
		if err := printTime(time.Millisecond, time.Since(begin)); err != nil {
			return err
		}
	}
	return os.Remove(dir)
}

func create(dir string, count int) error {
	text := make([]byte, 64)
	for i := range count {
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// list reads the directory and asks for each file's size, as ls -l does.
func list(dir string, count int) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) != count {
		return fmt.Errorf("%d files were created and %d are listed", count, len(entries))
	}
	for _, e := range entries {
		if _, err := e.Info(); err != nil {
			return err
		}
	}
	return nil
}

func remove(dir string, count int) error {
	for i := range count {
		if err := os.Remove(filepath.Join(dir, strconv.Itoa(i))); err != nil {
			return err
		}
	}
	return nil
}
