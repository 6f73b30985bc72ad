#pragma once
// How requests share a batch though they differ in one dimension. Plain values.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace torchfleet::worker {

struct LengthRules {
  // Of each input and output, by the spec's order: its dimension in which
  // requests differ, the batch counted as 0.
  std::vector<std::optional<size_t>> inputs;
  std::vector<std::optional<size_t>> outputs;
  // Of each input: the element that fills it up, as on the wire.
  std::vector<std::string> padding;
  // The input that tells elements from padding, 1 and 0; of a request that does
  // not bring it, all are elements.
  std::optional<size_t> mask;
  // The input that tells each row's length, where a request does not bring it.
  std::optional<size_t> lengths;
  // The part of a batch that may be padding.
  double most_padding = 0.1;

  // Whether requests may differ at all.
  bool any() const { return !inputs.empty(); }
  // Whether a request may leave an input out, as the worker makes it.
  bool made(size_t input) const { return any() && (mask == input || lengths == input); }
};

}  // namespace torchfleet::worker
