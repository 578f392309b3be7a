// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
)

// lines is a log that tests read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), "the agent serves")
}

func record(t *testing.T) *lines {
	t.Helper()
	l, before := &lines{}, slog.Default()
	setLog(l, slog.LevelInfo)
	t.Cleanup(func() { slog.SetDefault(before) })
	return l
}

func answer(context.Context, ttrpc.Unmarshaler, *ttrpc.UnaryServerInfo, ttrpc.Method) (any, error) {
	return "answer", nil
}

func TestServingIsLoggedWithTheFirstCall(t *testing.T) {
	log := record(t)
	synctest.Test(t, func(t *testing.T) {
		call := announced(answer)
		if log.count() != 0 {
			t.Error("the log was written before the first answer")
		}
		for range 3 {
			if got, err := call(t.Context(), nil, nil, nil); got != "answer" || err != nil {
				t.Errorf("%v, %v", got, err)
			}
			synctest.Wait()
			if log.count() != 1 {
				t.Errorf("%d lines", log.count())
			}
		}
		time.Sleep(2 * hostGrace) // of synctest's fake time, which takes none
		if log.count() != 1 {
			t.Errorf("%d lines after the grace", log.count())
		}
	})
}

func TestServingIsLoggedWithoutACall(t *testing.T) {
	log := record(t)
	synctest.Test(t, func(t *testing.T) {
		call := announced(answer)
		time.Sleep(2 * hostGrace) // of synctest's fake time, which takes none
		if _, err := call(t.Context(), nil, nil, nil); err != nil || log.count() != 1 {
			t.Errorf("%d lines, %v", log.count(), err)
		}
	})
}
