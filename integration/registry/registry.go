// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/katapod/katapod/integration/images"
	"github.com/opencontainers/go-digest"
)

// Registry serves images by their full names. It is an http.Handler, and does not change once it is made.
type Registry struct {
	blobs     map[digest.Digest]images.Blob
	manifests map[string]digest.Digest // by full name, for example gcr.io/a/b:1
}

// New returns a registry of the images, whose names have to have a tag.
func New(all ...images.Image) (*Registry, error) {
	r := &Registry{blobs: map[digest.Digest]images.Blob{}, manifests: map[string]digest.Digest{}}
	for _, image := range all {
		blobs, err := image.Blobs()
		if err != nil {
			return nil, fmt.Errorf("put the image %s into the registry: %w", image.Name, err)
		}
		for _, b := range blobs {
			r.blobs[b.Digest] = b
		}
		r.manifests[image.Name] = blobs[len(blobs)-1].Digest
	}
	return r, nil
}

// ServeHTTP answers /v2/, /v2/<name>/manifests/<tag or digest> and /v2/<name>/blobs/<digest>. The query's ns is the
// registry that the image's name says; containerd adds it when it asks another.
func (r *Registry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.Method != http.MethodGet && q.Method != http.MethodHead {
		http.Error(w, "this registry is only read", http.StatusMethodNotAllowed)
		return
	}
	path, versioned := strings.CutPrefix(q.URL.Path, "/v2/")
	if versioned && path == "" {
		return // "yes, version 2 is spoken here"
	}
	blob, found := r.find(q.URL.Query().Get("ns"), path)
	if !versioned || !found {
		http.NotFound(w, q)
		return
	}
	w.Header().Set("Content-Type", blob.MediaType)
	w.Header().Set("Content-Length", strconv.FormatInt(blob.Size, 10))
	w.Header().Set("Docker-Content-Digest", blob.Digest.String())
	if q.Method == http.MethodGet {
		_, _ = w.Write(blob.Data) // a client that went away is not the registry's concern
	}
}

func (r *Registry) find(host, path string) (images.Blob, bool) {
	if name, sum, ok := cutLast(path, "/blobs/"); ok && name != "" {
		blob, found := r.blobs[digest.Digest(sum)]
		return blob, found
	}
	name, reference, ok := cutLast(path, "/manifests/")
	if !ok {
		return images.Blob{}, false
	}
	sum := digest.Digest(reference)
	if sum.Validate() != nil {
		sum = r.manifests[host+"/"+name+":"+reference]
	}
	blob, found := r.blobs[sum]
	return blob, found
}

func cutLast(s, separator string) (before, after string, found bool) {
	at := strings.LastIndex(s, separator)
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+len(separator):], true
}
