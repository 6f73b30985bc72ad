#include "model-worker/execute/batch_input.h"

#include <algorithm>
#include <cstring>

namespace torchfleet::worker {
namespace {

char* Pad(char* to, size_t bytes, std::string_view padding) {
  for (size_t i = 0; i < bytes; i += padding.size()) {
    std::memcpy(to + i, padding.data(), padding.size());
  }
  return to + bytes;
}

}  // namespace

size_t BatchInput::size() const {
  size_t bytes = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    bytes += run == 0 || runs[i] == run ? pieces[i].size()
             : runs[i] == 0             ? 0
                                        : pieces[i].size() / runs[i] * run;
  }
  return bytes;
}

void BatchInput::CopyTo(char* to) const {
  for (size_t i = 0; i < pieces.size(); ++i) {
    std::string_view piece = pieces[i];
    if (run == 0 || runs[i] == run) {
      to = std::copy(piece.begin(), piece.end(), to);
      continue;
    }
    for (; runs[i] > 0 && !piece.empty(); piece.remove_prefix(runs[i])) {
      std::memcpy(to, piece.data(), runs[i]);
      to = Pad(to + runs[i], run - runs[i], padding);
    }
  }
}

void BatchInput::Clear() {
  shape.clear();
  pieces.clear();
  runs.clear();
  absent = false;
  run = 0;
  padding = {};
}

}  // namespace torchfleet::worker
