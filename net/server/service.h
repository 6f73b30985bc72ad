#pragma once
// What a server does with the streams that come to it.

#include "net/http/stream.h"

namespace torchfleet::net {

// What serves the streams of one loop. Made before the loop runs, used and
// destroyed on its thread.
class Service {
 public:
  virtual ~Service() = default;
  // Who handles this request, whose headers are there; it lives until OnClosed.
  // Nobody refuses the stream.
  virtual StreamHandler* OnStream(Stream& stream) = 0;
};

}  // namespace torchfleet::net
