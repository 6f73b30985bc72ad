#pragma once
// What an HTTP/2 connection allows its peer, and how long it waits for it.

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace torchfleet::net {

// How much of something a peer may do at once, and for how long on end.
struct Allowance {
  double burst = 0;
  double per_second = 0;
};

struct Http2Limits {
  // Names and values and 32 bytes for each field (RFC 9113, section 6.5.2).
  size_t header_bytes = 8 << 10;
  uint32_t streams = 1024;
  // Bytes of a body that may wait here to be consumed; of all of a connection's.
  uint32_t stream_window = 256 << 10;
  uint32_t connection_window = 16 << 20;
  // Bytes on their way out, taken from the streams but not by the socket yet.
  size_t outgoing_bytes = 256 << 10;
  // Streams the peer resets, breaks or opens over the limit; each stream that
  // ends well allows one more.
  Allowance resets = {1000, 200};
  // Pings, settings and empty frames; each frame of a body that we send allows
  // one more, as some peers measure the way by a ping for each.
  Allowance pings = {100, 10};
};

struct Http2Times {
  // For a connection to be made and the peer's preface to come, and for each
  // header block once it has begun.
  absl::Duration headers = absl::Seconds(10);
  // For the next byte of a body that is owed and not held up by us.
  absl::Duration body = absl::Seconds(30);
  // For the peer to take anything of what waits for it on a stream.
  absl::Duration unread = absl::Minutes(5);
  // Without a stream; then the connection is closed with a goodbye.
  absl::Duration idle = absl::Minutes(10);
  // A peer that was silent for so long is pinged, and given up when it stays
  // silent for `ping_answer`.
  absl::Duration ping_after = absl::InfiniteDuration();
  absl::Duration ping_answer = absl::Seconds(5);
};

struct Http2Options {
  Http2Limits limits;
  Http2Times times;
};

}  // namespace torchfleet::net
