#pragma once
// Bytes that can be read at any place: a model file, or memory in tests.

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"

namespace torchfleet::worker {

class ByteSource {
 public:
  virtual ~ByteSource() = default;

  virtual uint64_t size() const = 0;
  // Exactly `count` bytes from `offset` on to `to`; FAILED_PRECONDITION where
  // they are not there (any more), or cannot be read.
  virtual absl::Status Read(uint64_t offset, size_t count, char* to) const = 0;
};

}  // namespace torchfleet::worker
