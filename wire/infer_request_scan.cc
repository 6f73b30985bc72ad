#include "wire/infer_request_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "base/status.h"
#include "base/utf8.h"
#include "wire/wire_reader.h"

namespace torchfleet::wire {
namespace {

// A position in bytes that lie in several pieces.
class PieceBytes {
 public:
  explicit PieceBytes(std::span<const std::string_view> pieces) : pieces_(pieces) {
    for (const std::string_view piece : pieces_) left_ += piece.size();
    SkipEmptyPieces();
  }

  size_t left() const { return left_; }
  size_t offset() const { return offset_; }

  // There must be one.
  uint8_t Next() {
    const auto byte = static_cast<uint8_t>(pieces_[piece_][at_]);
    Advance(1);
    return byte;
  }

  // At most left().
  void Skip(size_t count) {
    while (count > 0) count -= Advance(count);
  }

  // At most left().
  std::string Take(size_t count) {
    std::string bytes;
    bytes.reserve(count);
    while (count > 0) {
      const std::string_view rest = pieces_[piece_].substr(at_, count);
      bytes.append(rest);
      count -= Advance(rest.size());
    }
    return bytes;
  }

 private:
  // Goes on by `count`, but not past the end of the piece; returns how far.
  size_t Advance(size_t count) {
    const size_t step = std::min(count, pieces_[piece_].size() - at_);
    at_ += step;
    offset_ += step;
    left_ -= step;
    SkipEmptyPieces();
    return step;
  }

  void SkipEmptyPieces() {
    while (piece_ < pieces_.size() && at_ == pieces_[piece_].size()) {
      ++piece_;
      at_ = 0;
    }
  }

  std::span<const std::string_view> pieces_;
  size_t piece_ = 0;
  size_t at_ = 0;
  size_t offset_ = 0;
  size_t left_ = 0;
};

using PieceReader = BasicWireReader<PieceBytes>;

absl::Status Malformed(const PieceReader& reader) {
  return absl::InvalidArgumentError(
      fmt::format("the request is not a well-formed message: at byte {} expected {}",
                  reader.bytes().offset(), reader.expected()));
}

absl::Status TakeText(PieceReader& reader, std::string_view field, std::string& text) {
  size_t length;
  if (!reader.ReadLength(length)) return Malformed(reader);
  text = reader.bytes().Take(length);
  if (IsUtf8(text)) return absl::OkStatus();
  return WithBadField(absl::InvalidArgumentError(
                          fmt::format("{} is '{}'; expected a text in UTF-8", field, Clip(text))),
                      field);
}

}  // namespace

absl::StatusOr<InferRequestHead> ScanInferRequest(std::span<const std::string_view> pieces) {
  PieceReader reader{PieceBytes(pieces)};
  InferRequestHead head;
  while (!reader.AtEnd()) {
    uint32_t tag;
    if (!reader.ReadTag(tag)) return Malformed(reader);
    switch (tag) {
      case LengthTag(1):
        RETURN_IF_ERROR(TakeText(reader, "model_name", head.model_name));
        break;
      case LengthTag(2):
        RETURN_IF_ERROR(TakeText(reader, "model_version", head.model_version));
        break;
      case LengthTag(3):
        RETURN_IF_ERROR(TakeText(reader, "id", head.id));
        break;
      default:
        if (!reader.SkipField(tag, kMaxNesting)) return Malformed(reader);
    }
  }
  return head;
}

}  // namespace torchfleet::wire
