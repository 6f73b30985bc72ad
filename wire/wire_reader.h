#pragma once
// Reads Protocol Buffers' wire format from bytes in place, with the verdicts of
// Protocol Buffers' own C++ parser: tags and lengths of at most five bytes,
// numbers of at most ten, groups that end as they began, no field number 0.
// Nothing a length says is believed before it is checked against what is left.
//
// `Bytes` is the position in the bytes. It has
//   size_t left() const;    bytes up to the end
//   uint8_t Next();         the next one; there must be one
//   void Skip(size_t);      at most left()
// and, for ReadFixed and ReadBytes, bytes in one piece:
//   const char* at() const;
// ContiguousBytes is one for bytes in one piece; WireReader reads those.
//
// Every reading function says whether it could; after it could not, expected()
// says what was missing and the reader is of no more use.
// Owned by one caller; borrows the bytes.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>

namespace torchfleet::wire {

enum class WireType : uint32_t {
  kVarint = 0,
  kFixed64 = 1,
  kLengthDelimited = 2,
  kStartGroup = 3,
  kEndGroup = 4,
  kFixed32 = 5,
};

constexpr uint32_t MakeTag(uint32_t field, WireType type) {
  return field << 3 | static_cast<uint32_t>(type);
}
constexpr uint32_t LengthTag(uint32_t field) { return MakeTag(field, WireType::kLengthDelimited); }

// Messages and groups inside one another, the outermost message not counted.
inline constexpr int kMaxNesting = 100;
// No message is longer: a length is an int32, with some room for the parser.
inline constexpr size_t kMaxMessageSize = std::numeric_limits<int32_t>::max() - 16;

class ContiguousBytes {
 public:
  explicit ContiguousBytes(std::string_view bytes)
      : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  size_t left() const { return static_cast<size_t>(end_ - at_); }
  uint8_t Next() { return static_cast<uint8_t>(*at_++); }
  void Skip(size_t count) { at_ += count; }
  const char* at() const { return at_; }

 private:
  const char* at_;
  const char* end_;
};

template <typename Bytes>
class BasicWireReader {
 public:
  explicit BasicWireReader(Bytes bytes) : bytes_(bytes) {}

  bool AtEnd() const { return bytes_.left() == 0; }
  Bytes& bytes() { return bytes_; }
  const Bytes& bytes() const { return bytes_; }
  std::string_view expected() const { return expected_; }

  [[nodiscard]] bool ReadTag(uint32_t& tag) {
    uint64_t number;
    if (!ReadShortNumber(number)) return false;
    tag = static_cast<uint32_t>(number);  // bits over 32 are lost
    return tag >> 3 != 0 || Refuse("a field number over 0");
  }

  // Ten bytes at most; bits over 64 are lost.
  [[nodiscard]] bool ReadVarint(uint64_t& value) {
    return ReadNumber(value, 10, "a number of at most ten bytes");
  }

  // A length that is there to its last byte.
  [[nodiscard]] bool ReadLength(size_t& length) {
    uint64_t number;
    if (!ReadShortNumber(number)) return false;
    length = number;
    return (number <= kMaxMessageSize && number <= bytes_.left()) ||
           Refuse("as many bytes as the length before says");
  }

  template <typename T>
  [[nodiscard]] bool ReadFixed(T& value) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8);
    static_assert(std::endian::native == std::endian::little);
    if (bytes_.left() < sizeof(T)) return Refuse("a number of fixed size");
    std::memcpy(&value, bytes_.at(), sizeof(T));
    bytes_.Skip(sizeof(T));
    return true;
  }

  // A field's bytes, where they lie.
  [[nodiscard]] bool ReadBytes(std::string_view& value) {
    size_t length;
    if (!ReadLength(length)) return false;
    value = std::string_view(bytes_.at(), length);
    bytes_.Skip(length);
    return true;
  }

  // Skips the field that `tag` begins. Groups may be `nesting` deep: what is
  // left of kMaxNesting in the message that is read.
  [[nodiscard]] bool SkipField(uint32_t tag, int nesting) {
    if (static_cast<WireType>(tag & 7) == WireType::kStartGroup) {
      return SkipGroup(tag >> 3, nesting);
    }
    return SkipValue(tag);
  }

  // Ends the reading; for callers that find more than this reader knows.
  bool Refuse(std::string_view expected) {
    expected_ = expected;
    return false;
  }

 private:
  // Five bytes at most: up to 35 bits.
  [[nodiscard]] bool ReadShortNumber(uint64_t& value) {
    return ReadNumber(value, 5, "a tag or length of at most five bytes");
  }

  // Most have one byte.
  [[nodiscard]] bool ReadNumber(uint64_t& value, int most_bytes, std::string_view what) {
    if (AtEnd()) return Refuse(what);
    value = bytes_.Next();
    return value < 0x80 || ReadRest(value, most_bytes, what);
  }

  // The bytes after the first, which `value` holds.
  [[nodiscard, gnu::noinline]] bool ReadRest(uint64_t& value, int most_bytes,
                                             std::string_view what) {
    value &= 0x7F;
    for (int shift = 7; shift < 7 * most_bytes; shift += 7) {
      if (AtEnd()) return Refuse(what);
      const uint64_t byte = bytes_.Next();
      value |= (byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return Refuse(what);
  }

  [[nodiscard]] bool SkipFixed(size_t size) {
    if (bytes_.left() < size) return Refuse("a number of fixed size");
    bytes_.Skip(size);
    return true;
  }

  // Everything but groups.
  [[nodiscard]] bool SkipValue(uint32_t tag) {
    switch (static_cast<WireType>(tag & 7)) {
      case WireType::kVarint: {
        uint64_t ignored;
        return ReadVarint(ignored);
      }
      case WireType::kFixed64:
        return SkipFixed(8);
      case WireType::kFixed32:
        return SkipFixed(4);
      case WireType::kLengthDelimited: {
        size_t length;
        if (!ReadLength(length)) return false;
        bytes_.Skip(length);
        return true;
      }
      case WireType::kEndGroup:
        return Refuse("no end of a group that did not begin");
      default:
        return Refuse("a wire type from 0 to 5");
    }
  }

  [[nodiscard]] bool SkipGroup(uint32_t field, int nesting) {
    uint32_t open[kMaxNesting];  // field numbers, the innermost last
    if (nesting < 1) return Refuse("no more than 100 messages and groups in one another");
    int depth = 0;
    open[depth++] = field;
    while (depth > 0) {
      uint32_t tag;
      if (!ReadTag(tag)) return false;
      if (tag == MakeTag(open[depth - 1], WireType::kEndGroup)) {
        --depth;
      } else if (static_cast<WireType>(tag & 7) == WireType::kStartGroup) {
        if (depth >= nesting) return Refuse("no more than 100 messages and groups in one another");
        open[depth++] = tag >> 3;
      } else if (!SkipValue(tag)) {
        return false;
      }
    }
    return true;
  }

  Bytes bytes_;
  std::string_view expected_;
};

using WireReader = BasicWireReader<ContiguousBytes>;

}  // namespace torchfleet::wire
