// SPDX-License-Identifier: Apache-2.0

package images

import (
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// What the suite expects of its images, which it cannot tell when one of them is wrong.
func TestCRITestImages(t *testing.T) {
	if _, err := os.Stat("/bin/busybox"); err != nil {
		t.Skipf("needs Debian's busybox-static: %v", err)
	}
	all, err := CRITest(t.Context(), t.TempDir(), "/bin/busybox", "katapod.test/pause:1")
	if err != nil {
		t.Fatal(err)
	}
	sums, users := map[string]digest.Digest{}, map[string]string{}
	for _, image := range all {
		blobs, err := image.Blobs()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(image.Name[strings.LastIndex(image.Name, "/"):], ":") || sums[image.Name] != "" {
			t.Errorf("%s has no tag, or is there twice", image.Name)
		}
		sums[image.Name], users[image.Name] = blobs[len(blobs)-1].Digest, image.Config.User
	}
	for _, pair := range []struct {
		one, other string
		same       bool
	}{
		{staging + "test-image-tags:1", staging + "test-image-tags:3", true},
		{staging + "test-image-1:latest", staging + "test-image-2:latest", false},
		{"registry.k8s.io/pause:3.9", "k8s.gcr.io/pause:3.9", true},
		{"registry.k8s.io/pause:3.9", "katapod.test/pause:1", false},
	} {
		if sums[pair.one] == "" || (sums[pair.one] == sums[pair.other]) != pair.same {
			t.Errorf("%s is %q and %s is %q", pair.one, sums[pair.one], pair.other, sums[pair.other])
		}
	}
	for name, want := range map[string]string{
		"test-image-user-uid": "1002", "test-image-user-username": "www-data", "test-image-user-uid-group": "1003:users",
		"test-image-user-username-group": "www-data:www-data", "test-image-predefined-group": "1000",
	} {
		if got := users[staging+name+":latest"]; got != want {
			t.Errorf("the user of %s is %q", name, got)
		}
	}
}
