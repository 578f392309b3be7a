// SPDX-License-Identifier: Apache-2.0

package crun

import "testing"

func TestFamiliarWords(t *testing.T) {
	for crun, want := range map[string]string{
		"executable file `nosuch` not found in $PATH: No such file or directory":          `exec: "nosuch": executable file not found in $PATH: no such file or directory`,
		"open executable: Permission denied":                                              "open executable: permission denied",
		"the path `/etc/passwd` exists but it is not executable: Operation not permitted": "the path `/etc/passwd` exists but it is not executable: permission denied",
		"open `/etc`: Is a directory":                                                     "open `/etc`: is a directory",
		"set limit: NUMA is odd":                                                          "set limit: NUMA is odd",
		"Permission denied":                                                               "permission denied",
		"mount: ":                                                                         "mount: ",
		"a: B":                                                                            "a: B",
		"":                                                                                "",
	} {
		if got := familiar(crun); got != want {
			t.Errorf("%q became %q, want %q", crun, got, want)
		}
	}
}

func TestMessage(t *testing.T) {
	log := `{"msg":"slow","level":"warning"}
{"msg":"open executable: Permission denied","level":"error"}
not JSON
{"msg":"second","level":"error"}
`
	if got := message([]byte(log)); got != "open executable: permission denied; second" {
		t.Errorf("the message is %q", got)
	}
}
