#pragma once
// One input of a batch: what its requests sent, one after another.

#include <cstdint>
#include <string_view>
#include <vector>

namespace torchfleet::worker {

// The bytes belong to the requests: little-endian and row-major as on the wire,
// at any alignment. A plain value.
struct BatchInput {
  // The whole batch's.
  std::vector<int64_t> shape = {};
  // Of each request, in the batch's order.
  std::vector<std::string_view> pieces = {};
  // An optional input that no request of the batch has.
  bool absent = false;

  // Where requests differ in a dimension, the bytes that lie together in a
  // request below that dimension, for each piece, and in the batch; between them
  // comes `padding`, an element, again and again. 0: nothing is padded.
  std::vector<size_t> runs = {};
  size_t run = 0;
  std::string_view padding = {};

  // Bytes of the whole, padded.
  size_t size() const;
  // Whether it lies in one place already.
  bool whole() const { return pieces.size() == 1 && (run == 0 || runs[0] == run); }
  // Copies all to `to`, which has room for size().
  void CopyTo(char* to) const;

  // Empty again, its memory kept.
  void Clear();
};

}  // namespace torchfleet::worker
