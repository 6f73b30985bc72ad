#include "net/http/stream.h"

#include <atomic>

namespace torchfleet::net {

uint64_t NextConnectionNumber() {
  static std::atomic<uint64_t> last = 0;
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace torchfleet::net
