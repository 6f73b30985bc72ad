#pragma once
// Writes raw contents as JSON: the shortest numbers that read back to the same
// bits, BYTES as strings or base64.
//
// FAILED_PRECONDITION for what JSON cannot carry (NaN, infinities, BYTES that
// are not UTF-8), with the way out. INTERNAL for contents that do not fit their
// shape: the model's fault, not the caller's.
//
// Lifecycle: one per tensor; each Append() writes the elements that follow those
//   of the last.
// Borrows the tensor's name and bytes. Not thread-safe.

#include <cstdint>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/protocol/rest/byte_buffer.h"
#include "wire/datatype.h"

namespace torchfleet::gateway::rest {

// A tensor without elements may still be many lists (shape [1000000,0]); more of
// them say nothing to anybody.
inline constexpr int64_t kMaxEmptyLists = 1 << 20;

// Appends `text` as it is, or as a JSON string; `text` is UTF-8.
void AppendText(std::string_view text, ByteBuffer& json);
void AppendString(std::string_view text, ByteBuffer& json);
void AppendNumber(int64_t number, ByteBuffer& json);

class TensorWriter {
 public:
  // An output as it came. `base64`: BYTES as {"b64": "…"}.
  static absl::StatusOr<TensorWriter> Open(std::string_view name, std::string_view datatype,
                                           std::span<const int64_t> shape, std::string_view raw,
                                           bool base64 = false);

  int64_t count() const { return count_; }

  // The next elements, in arrays as long as the dimensions say; without any
  // dimension, one element alone.
  absl::Status Append(std::span<const int64_t> dimensions, ByteBuffer& json);

 private:
  using RunWriter = absl::Status (TensorWriter::*)(int64_t count, ByteBuffer& json);

  TensorWriter(std::string_view name, wire::DataType datatype, std::string_view raw, int64_t count,
               bool base64);

  template <wire::DataType kType>
  absl::Status AppendNumbers(int64_t count, ByteBuffer& json);
  absl::Status AppendBools(int64_t count, ByteBuffer& json);
  absl::Status AppendStrings(int64_t count, ByteBuffer& json);
  static RunWriter WriterOf(wire::DataType datatype);

  absl::Status NotInJson(std::string_view what) const;

  std::string_view name_;
  RunWriter write_run_;
  int64_t count_;
  bool base64_;
  // What is not written yet, and the elements that were.
  std::string_view left_;
  int64_t written_ = 0;
};

}  // namespace torchfleet::gateway::rest
