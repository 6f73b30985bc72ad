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

// The value of a parameter that is a whole number, in any of its two fields.
uint64_t WholeNumber(std::string_view parameter) {
  WireReader reader{ContiguousBytes(parameter)};
  uint64_t value = 0;
  while (!reader.AtEnd()) {
    uint32_t tag;
    if (!reader.ReadTag(tag)) return 0;
    const bool number =
        tag == MakeTag(2, WireType::kVarint) || tag == MakeTag(5, WireType::kVarint);
    if (number ? !reader.ReadVarint(value) : !reader.SkipField(tag, kMaxNesting)) return 0;
  }
  return value;
}

// An entry of the parameters, if it is the priority. What else is in one, or
// wrong with it, is for the worker to find.
bool TakeParameter(PieceReader& reader, uint64_t& priority) {
  // The key and a number of up to 14 bits, which a string holds without memory of
  // its own.
  constexpr size_t kLongest = 15;
  size_t length;
  if (!reader.ReadLength(length)) return false;
  if (length > kLongest) {
    reader.bytes().Skip(length);
    return true;
  }
  const std::string entry = reader.bytes().Take(length);
  WireReader fields{ContiguousBytes(entry)};
  std::string_view key, value;
  while (!fields.AtEnd()) {
    uint32_t tag;
    if (!fields.ReadTag(tag)) return true;
    const bool read = tag == LengthTag(1)   ? fields.ReadBytes(key)
                      : tag == LengthTag(2) ? fields.ReadBytes(value)
                                            : fields.SkipField(tag, kMaxNesting);
    if (!read) return true;
  }
  if (key == "priority") priority = WholeNumber(value);
  return true;
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
      case LengthTag(4):
        if (!TakeParameter(reader, head.priority)) return Malformed(reader);
        break;
      default:
        if (!reader.SkipField(tag, kMaxNesting)) return Malformed(reader);
    }
  }
  return head;
}

}  // namespace torchfleet::wire
