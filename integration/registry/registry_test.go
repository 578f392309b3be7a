// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/katapod/katapod/integration/images"
)

func TestWhatIsServed(t *testing.T) {
	image := images.Image{Name: "a.test/b/c:1", Files: []images.File{{Path: "f", Data: []byte("x")}}}
	blobs, err := image.Blobs()
	if err != nil {
		t.Fatal(err)
	}
	handler, err := New(image)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()
	layer, manifest := blobs[0], blobs[2]
	for path, want := range map[string]string{
		"/v2/":                                  "",
		"/v2/b/c/manifests/1?ns=a.test":         string(manifest.Data),
		"/v2/b/c/blobs/" + string(layer.Digest): string(layer.Data),
		"/v2/b/c/manifests/" + string(manifest.Digest) + "?ns=a.test": string(manifest.Data),
	} {
		if code, body := get(t, server.URL+path); code != http.StatusOK || body != want {
			t.Errorf("%s: %d %q", path, code, body)
		}
	}
	for _, path := range []string{
		"/", "/v2/b/c/manifests/1?ns=other.test", "/v2/b/c/manifests/2?ns=a.test", "/v2/b/c/blobs/1", "/v2/b",
	} {
		if code, _ := get(t, server.URL+path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	answer, err := http.Post(server.URL+"/v2/b/c/blobs/uploads/", "", nil)
	if err != nil || answer.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a push: %v, error %v", answer, err)
	}
	answer, err = http.Head(server.URL + "/v2/b/c/manifests/1?ns=a.test")
	if err != nil || answer.Header.Get("Docker-Content-Digest") != string(manifest.Digest) || answer.ContentLength != manifest.Size {
		t.Errorf("HEAD: %v, error %v", answer, err)
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}
