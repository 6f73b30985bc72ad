#pragma once
// The names under which a call is found again in everybody's logs: W3C's
// traceparent (Trace Context, level 1) and X-Request-Id. What the caller sent is
// passed on; what it did not, or not well-formed, is begun here.
//
// Keeps its room from call to call. Not thread-safe.

#include <string>
#include <string_view>

#include "net/http/headers.h"

namespace torchfleet::gateway {

class CallIds {
 public:
  // Reads a request's, or begins them.
  void Take(const net::Headers& request);
  // Adds both to a request that goes on.
  void AddTo(net::Headers& request) const;

  // 32 hexadecimal digits.
  std::string_view trace_id() const { return std::string_view(traceparent_).substr(3, 32); }
  // The caller's, or else the trace's.
  std::string_view request_id() const { return request_id_; }

 private:
  std::string traceparent_;
  std::string request_id_;
};

}  // namespace torchfleet::gateway
