// SPDX-License-Identifier: Apache-2.0

// Package stdio tells the standard streams of guest processes apart.
//
// An agent that lists [Feature] among its extra_features takes streams on guest
// port 1027. The host picks a [Token] per stream, names the tokens in the
// stdin_port, stdout_port and stderr_port fields of CreateContainer or
// ExecProcess, dials the port once per stream and writes the token as four
// bytes, big endian. After that the stream carries the process's bytes, and its
// end is the end of the file. A stream may arrive before or after the call that
// names it. An agent without the feature is served by the WriteStdin,
// ReadStdout, ReadStderr and CloseStdin calls instead.
package stdio
