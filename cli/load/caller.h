#pragma once
// How a load's calls are made: the seam between when and what, and the protocol.
//
// A caller belongs to one loop's thread. Each call has a number that is free for
// another one when its end is told.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace torchfleet::cli {

// How a call ended.
struct CallEnd {
  // The protocol's word for it: OK, UNAVAILABLE …, 200, 503 …
  std::string code = {};
  bool ok = false;
  // Nobody could be reached: calling again at once is no use.
  bool never_sent = false;
  // Of a call that failed, what the server or this side said of it.
  std::string message = {};
  // Of one that did not: the answer, where it was asked for.
  std::string_view answer = {};
};

class Caller {
 public:
  class Owner {
   public:
    // Never from inside Begin.
    virtual void OnEnd(uint32_t call, const CallEnd& end) = 0;

   protected:
    ~Owner() = default;
  };

  virtual ~Caller() = default;
  // Sends the `request`th request; with `id` unless that is empty.
  virtual void Begin(uint32_t call, size_t request, std::string_view id) = 0;
};

}  // namespace torchfleet::cli
