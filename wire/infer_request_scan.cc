#include "wire/infer_request_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/status.h"
#include "base/utf8.h"

namespace torchfleet::wire {
namespace {

// Protocol Buffers' own limits.
constexpr size_t kMaxGroupDepth = 100;
constexpr uint32_t kMaxLength = std::numeric_limits<int32_t>::max() - 16;
constexpr int kMaxShortVarint = 5;
constexpr int kMaxVarint = 10;

enum WireType : uint32_t {
  kVarint = 0,
  kFixed64 = 1,
  kLengthDelimited = 2,
  kStartGroup = 3,
  kEndGroup = 4,
  kFixed32 = 5,
};

// A position in bytes that lie in several pieces.
class Cursor {
 public:
  explicit Cursor(std::span<const std::string_view> pieces) : pieces_(pieces) {
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

absl::Status Malformed(const Cursor& cursor, std::string_view expected) {
  return absl::InvalidArgumentError(
      fmt::format("the request is not a well-formed message: at byte {} expected {}",
                  cursor.offset(), expected));
}

// Tags and lengths have at most five bytes; bits over 32 are lost.
absl::StatusOr<uint32_t> TakeShortVarint(Cursor& cursor) {
  uint32_t value = 0;
  for (int i = 0; i < kMaxShortVarint; ++i) {
    if (cursor.left() == 0) return Malformed(cursor, "the rest of a number");
    const uint8_t byte = cursor.Next();
    value |= static_cast<uint32_t>(byte & 0x7F) << (7 * i);
    if (byte < 0x80) return value;
  }
  return Malformed(cursor, "the end of a number of at most five bytes");
}

absl::Status SkipVarint(Cursor& cursor) {
  for (int i = 0; i < kMaxVarint; ++i) {
    if (cursor.left() == 0) return Malformed(cursor, "the rest of a number");
    if (cursor.Next() < 0x80) return absl::OkStatus();
  }
  return Malformed(cursor, "the end of a number of at most ten bytes");
}

absl::StatusOr<size_t> TakeLength(Cursor& cursor) {
  uint64_t length = 0;
  for (int i = 0; i < kMaxShortVarint; ++i) {
    if (cursor.left() == 0) return Malformed(cursor, "the rest of a length");
    const uint8_t byte = cursor.Next();
    length |= static_cast<uint64_t>(byte & 0x7F) << (7 * i);
    if (byte < 0x80) {
      if (length > kMaxLength || length > cursor.left()) {
        return Malformed(cursor, fmt::format("{} more bytes, got {}", length, cursor.left()));
      }
      return static_cast<size_t>(length);
    }
  }
  return Malformed(cursor, "the end of a length of at most five bytes");
}

absl::Status SkipFixed(Cursor& cursor, size_t count) {
  if (cursor.left() < count) return Malformed(cursor, fmt::format("{} more bytes", count));
  cursor.Skip(count);
  return absl::OkStatus();
}

// Skips fields and the groups they open until all groups in `open` are closed.
class FieldSkipper {
 public:
  explicit FieldSkipper(Cursor& cursor) : cursor_(cursor) {}

  absl::Status Skip(uint32_t tag) {
    RETURN_IF_ERROR(Step(tag));
    while (!open_.empty()) {
      ASSIGN_OR_RETURN(const uint32_t inner, TakeShortVarint(cursor_));
      RETURN_IF_ERROR(Step(inner));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Step(uint32_t tag) {
    const uint32_t field = tag >> 3;
    if (field == 0) return Malformed(cursor_, "a field number over 0 before it");
    switch (tag & 7) {
      case kVarint:
        return SkipVarint(cursor_);
      case kFixed64:
        return SkipFixed(cursor_, 8);
      case kFixed32:
        return SkipFixed(cursor_, 4);
      case kLengthDelimited: {
        ASSIGN_OR_RETURN(const size_t length, TakeLength(cursor_));
        cursor_.Skip(length);
        return absl::OkStatus();
      }
      case kStartGroup:
        if (open_.size() == kMaxGroupDepth) return Malformed(cursor_, "at most 100 groups");
        open_.push_back(field);
        return absl::OkStatus();
      case kEndGroup:
        if (open_.empty() || open_.back() != field) {
          return Malformed(cursor_, "no end of a group that did not begin");
        }
        open_.pop_back();
        return absl::OkStatus();
      default:
        return Malformed(cursor_, "a wire type from 0 to 5 before it");
    }
  }

  Cursor& cursor_;
  // Field numbers, the innermost last.
  std::vector<uint32_t> open_;
};

absl::Status TakeText(Cursor& cursor, std::string_view field, std::string& text) {
  ASSIGN_OR_RETURN(const size_t length, TakeLength(cursor));
  text = cursor.Take(length);
  if (IsUtf8(text)) return absl::OkStatus();
  return WithBadField(absl::InvalidArgumentError(
                          fmt::format("{} is '{}'; expected a text in UTF-8", field, Clip(text))),
                      field);
}

constexpr uint32_t TextTag(uint32_t field) { return field << 3 | kLengthDelimited; }

}  // namespace

absl::StatusOr<InferRequestHead> ScanInferRequest(std::span<const std::string_view> pieces) {
  Cursor cursor(pieces);
  FieldSkipper skipper(cursor);
  InferRequestHead head;
  while (cursor.left() > 0) {
    ASSIGN_OR_RETURN(const uint32_t tag, TakeShortVarint(cursor));
    switch (tag) {
      case TextTag(1):
        RETURN_IF_ERROR(TakeText(cursor, "model_name", head.model_name));
        break;
      case TextTag(2):
        RETURN_IF_ERROR(TakeText(cursor, "model_version", head.model_version));
        break;
      case TextTag(3):
        RETURN_IF_ERROR(TakeText(cursor, "id", head.id));
        break;
      default:
        RETURN_IF_ERROR(skipper.Skip(tag));
    }
  }
  return head;
}

}  // namespace torchfleet::wire
