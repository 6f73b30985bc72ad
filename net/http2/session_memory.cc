#include "net/http2/session_memory.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace torchfleet::net {
namespace {

// Sizes from 32 to 2048 bytes by powers of two, which calls ask for. Larger ones
// are the system's, to the byte: they belong to connections, and idle ones are many.
constexpr size_t kSmallest = 32, kClasses = 7, kLargest = kSmallest << (kClasses - 1);
constexpr size_t kMostFree = 4096;

// In front of what is given out, as large as an alignment.
struct alignas(std::max_align_t) Head {
  size_t size;
};

struct FreeLists {
  ~FreeLists() {
    for (const auto& list : lists) {
      for (Head* head : list) std::free(head);
    }
  }
  std::array<std::vector<Head*>, kClasses> lists;
};

FreeLists& Free() {
  thread_local FreeLists lists;
  return lists;
}

size_t ClassOf(size_t size) {
  return size <= kSmallest ? 0 : static_cast<size_t>(std::bit_width((size - 1) / kSmallest));
}

void* Take(size_t size, void*) {
  if (size > kLargest) {
    auto* const head = static_cast<Head*>(std::malloc(sizeof(Head) + size));
    if (head == nullptr) return nullptr;
    head->size = size;
    return head + 1;
  }
  auto& list = Free().lists[ClassOf(size)];
  if (!list.empty()) {
    Head* const head = list.back();
    list.pop_back();
    return head + 1;
  }
  const size_t rounded = kSmallest << ClassOf(size);
  auto* const head = static_cast<Head*>(std::malloc(sizeof(Head) + rounded));
  if (head == nullptr) return nullptr;
  head->size = rounded;
  return head + 1;
}

void Give(void* memory, void*) {
  if (memory == nullptr) return;
  Head* const head = static_cast<Head*>(memory) - 1;
  if (head->size <= kLargest) {
    auto& list = Free().lists[ClassOf(head->size)];
    if (list.size() < kMostFree) return list.push_back(head);
  }
  std::free(head);
}

void* TakeZeroed(size_t count, size_t size, void*) {
  size_t all;
  if (__builtin_mul_overflow(count, size, &all)) return nullptr;
  void* const memory = Take(all, nullptr);
  if (memory != nullptr) std::memset(memory, 0, all);
  return memory;
}

void* Resize(void* memory, size_t size, void*) {
  if (memory == nullptr) return Take(size, nullptr);
  const size_t before = (static_cast<Head*>(memory) - 1)->size;
  if (size <= before) return memory;
  void* const larger = Take(size, nullptr);
  if (larger == nullptr) return nullptr;
  std::memcpy(larger, memory, before);
  Give(memory, nullptr);
  return larger;
}

}  // namespace

nghttp2_mem* SessionMemory() {
  static nghttp2_mem memory = {nullptr, Take, Give, TakeZeroed, Resize};
  return &memory;
}

}  // namespace torchfleet::net
