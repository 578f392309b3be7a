// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// webTitle is the name nginx gives its first process, which specs of critest look for.
const webTitle = "nginx: master process "

// web serves a page. A process cannot change its arguments in Go, so it executes itself again under the other name,
// the address following in the same word.
func web(args []string) error {
	path, err := os.Executable() // by its name, which the specs look for as well
	if err != nil {
		return err
	}
	return syscall.Exec(path, []string{webTitle + args[0]}, os.Environ())
}

// webAddress is the address in the name that web gave this process.
func webAddress() (string, bool) { return strings.CutPrefix(os.Args[0], webTitle) }

func serveWeb(address string) error {
	if err := os.WriteFile("/var/run/nginx.pid", []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return err
	}
	fmt.Println("httpd serves", address)
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "welcome")
	}))
}

func euid([]string) error {
	_, err := fmt.Printf("Effective uid: %d\n", os.Geteuid())
	return err
}
