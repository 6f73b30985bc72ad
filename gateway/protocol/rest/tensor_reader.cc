#include "gateway/protocol/rest/tensor_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <type_traits>

#include "absl/strings/escaping.h"
#include "gateway/protocol/rest/http_status.h"
#include "gateway/protocol/rest/json_number.h"

namespace torchfleet::gateway::rest {
namespace {

using wire::DataType;

enum class Fault {
  kNone,
  kNotAnElement,
  // A number that the datatype cannot hold.
  kOutOfRange,
  kTooLarge,
};

template <DataType kType>
struct Native;
template <>
struct Native<DataType::kUint8> : std::type_identity<uint8_t> {};
template <>
struct Native<DataType::kUint16> : std::type_identity<uint16_t> {};
template <>
struct Native<DataType::kUint32> : std::type_identity<uint32_t> {};
template <>
struct Native<DataType::kUint64> : std::type_identity<uint64_t> {};
template <>
struct Native<DataType::kInt8> : std::type_identity<int8_t> {};
template <>
struct Native<DataType::kInt16> : std::type_identity<int16_t> {};
template <>
struct Native<DataType::kInt32> : std::type_identity<int32_t> {};
template <>
struct Native<DataType::kInt64> : std::type_identity<int64_t> {};
template <>
struct Native<DataType::kFp16> : std::type_identity<uint16_t> {};
template <>
struct Native<DataType::kBf16> : std::type_identity<uint16_t> {};
template <>
struct Native<DataType::kFp32> : std::type_identity<float> {};
template <>
struct Native<DataType::kFp64> : std::type_identity<double> {};

template <typename Integer>
bool ToInteger(const Decimal& decimal, Integer& value) {
  uint64_t whole;
  if (!ToWhole(decimal, whole)) return false;
  constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<Integer>::max());
  value = static_cast<Integer>(decimal.negative ? 0 - whole : whole);
  if (!decimal.negative || whole == 0) return whole <= kMost;
  return std::is_signed_v<Integer> && whole <= kMost + 1;
}

template <DataType kType>
bool Convert(const Decimal& decimal, typename Native<kType>::type& value) {
  if constexpr (kType == DataType::kFp16) {
    return ToHalf(decimal, kFp16, value);
  } else if constexpr (kType == DataType::kBf16) {
    return ToHalf(decimal, kBf16, value);
  } else if constexpr (kType == DataType::kFp32) {
    return ToFloat(decimal, value);
  } else if constexpr (kType == DataType::kFp64) {
    return ToDouble(decimal, value);
  } else {
    return ToInteger(decimal, value);
  }
}

// Reads elements up to one that no comma follows, or `most`; `count` goes up by
// as many. On a fault the cursor is at the element.
using RunReader = Fault (*)(JsonCursor&, const TensorFormat&, ByteBuffer&, int64_t most,
                            int64_t& count);

template <DataType kType>
Fault ReadNumbers(JsonCursor& cursor, const TensorFormat& format, ByteBuffer& raw, int64_t most,
                  int64_t& count) {
  using T = typename Native<kType>::type;
  const char* at = cursor.at();
  const char* const end = cursor.end();
  Fault fault = Fault::kNone;
  // Elements go to room that the buffer gives many at a time.
  for (bool more = true; more && fault == Fault::kNone;) {
    char* const room = raw.Room(sizeof(T), format.max_bytes);
    if (room == nullptr) return Fault::kTooLarge;
    const auto spare = static_cast<int64_t>(raw.spare() / sizeof(T));
    const int64_t fits = std::min(most - count, spare);
    int64_t read = 0;
    while (more && read < fits) {
      at = JsonCursor::SkipSpace(at, end);
      Decimal decimal;
      const char* const after = ScanNumber(at, end, decimal);
      T element;
      if (after == nullptr || !Convert<kType>(decimal, element)) {
        fault = after == nullptr ? Fault::kNotAnElement : Fault::kOutOfRange;
        break;
      }
      std::memcpy(room + static_cast<size_t>(read) * sizeof(T), &element, sizeof(T));
      ++read;
      at = JsonCursor::SkipSpace(after, end);
      more = at != end && *at == ',' && count + read < most;
      at += more;
    }
    raw.Commit(static_cast<size_t>(read) * sizeof(T));
    count += read;
  }
  cursor.MoveTo(at);
  return fault;
}

Fault ReadBools(JsonCursor& cursor, const TensorFormat& format, ByteBuffer& raw, int64_t most,
                int64_t& count) {
  do {
    const bool is_true = cursor.ConsumeWord("true");
    char value = is_true ? 1 : 0;
    if (!is_true && !cursor.ConsumeWord("false")) {
      Decimal decimal;
      const char* const after = ScanNumber(cursor.at(), cursor.end(), decimal);
      if (after == nullptr) return Fault::kNotAnElement;
      uint64_t whole;
      if (!ToWhole(decimal, whole) || whole > (decimal.negative ? 0 : 1)) return Fault::kOutOfRange;
      value = static_cast<char>(whole);
      cursor.MoveTo(after);
    }
    char* const room = raw.Room(1, format.max_bytes);
    if (room == nullptr) return Fault::kTooLarge;
    *room = value;
    raw.Commit(1);
    ++count;
  } while (count < most && cursor.Consume(','));
  return Fault::kNone;
}

// Appends length and bytes of the string inside the quotes.
Fault AppendString(std::string_view inside, const TensorFormat& format, ByteBuffer& raw) {
  char* const room = raw.Room(sizeof(uint32_t) + inside.size(), format.max_bytes);
  if (room == nullptr) return Fault::kTooLarge;
  const auto size = Unescape(inside, room + sizeof(uint32_t));
  if (!size) return Fault::kNotAnElement;
  const auto length = static_cast<uint32_t>(*size);
  std::memcpy(room, &length, sizeof(length));
  raw.Commit(sizeof(length) + *size);
  return Fault::kNone;
}

Fault ReadBase64(JsonCursor& cursor, const TensorFormat& format, ByteBuffer& raw) {
  TextArena texts;
  std::string decoded;
  bool found = false;
  const absl::Status read = cursor.Object(texts, [&](std::string_view key) -> absl::Status {
    if (key != "b64" || found) return cursor.Unexpected("one member, b64");
    found = true;
    ASSIGN_OR_RETURN(const std::string_view encoded, cursor.String(texts));
    return absl::Base64Unescape({encoded.data(), encoded.size()}, &decoded)
               ? absl::OkStatus()
               : cursor.Unexpected("base64");
  });
  if (!read.ok() || !found) return Fault::kNotAnElement;
  char* const room = raw.Room(sizeof(uint32_t) + decoded.size(), format.max_bytes);
  if (room == nullptr) return Fault::kTooLarge;
  const auto length = static_cast<uint32_t>(decoded.size());
  std::memcpy(room, &length, sizeof(length));
  std::memcpy(room + sizeof(length), decoded.data(), decoded.size());
  raw.Commit(sizeof(length) + decoded.size());
  return Fault::kNone;
}

Fault ReadStrings(JsonCursor& cursor, const TensorFormat& format, ByteBuffer& raw, int64_t most,
                  int64_t& count) {
  do {
    const char next = cursor.Peek();
    const char* const begin = cursor.at();
    Fault fault = Fault::kNotAnElement;
    if (next == '"') {
      if (const auto inside = cursor.RawString(); inside.ok()) {
        fault = AppendString(*inside, format, raw);
      }
    } else if (next == '{' && format.base64_objects) {
      fault = ReadBase64(cursor, format, raw);
    }
    if (fault != Fault::kNone) {
      cursor.MoveTo(begin);
      return fault;
    }
    ++count;
  } while (count < most && cursor.Consume(','));
  return Fault::kNone;
}

// In the order of the enumeration.
constexpr std::array<RunReader, wire::kAllDataTypes.size()> kRunReaders = {
    ReadBools,
    ReadNumbers<DataType::kUint8>,
    ReadNumbers<DataType::kUint16>,
    ReadNumbers<DataType::kUint32>,
    ReadNumbers<DataType::kUint64>,
    ReadNumbers<DataType::kInt8>,
    ReadNumbers<DataType::kInt16>,
    ReadNumbers<DataType::kInt32>,
    ReadNumbers<DataType::kInt64>,
    ReadNumbers<DataType::kFp16>,
    ReadNumbers<DataType::kBf16>,
    ReadNumbers<DataType::kFp32>,
    ReadNumbers<DataType::kFp64>,
    ReadStrings,
};

constexpr std::array<std::string_view, wire::kAllDataTypes.size()> kElements = {
    "true or false",
    "whole numbers from 0 to 255",
    "whole numbers from 0 to 65535",
    "whole numbers from 0 to 4294967295",
    "whole numbers from 0 to 18446744073709551615",
    "whole numbers from -128 to 127",
    "whole numbers from -32768 to 32767",
    "whole numbers from -2147483648 to 2147483647",
    "whole numbers from -9223372036854775808 to 9223372036854775807",
    "numbers to ±65504",
    "numbers to ±3.3895e38",
    "numbers to ±3.4028e38",
    "numbers to ±1.7977e308",
    "strings",
};

// The element at the cursor, up to where it ends.
std::string CameText(const JsonCursor& cursor) {
  const std::string_view left(cursor.at(), static_cast<size_t>(cursor.end() - cursor.at()));
  if (left.empty()) return "the end of the JSON";
  if (left.front() == '[') return "a list";
  if (left.front() == '{') return "an object";
  const bool quoted = left.front() == '"';
  const size_t length = quoted ? left.find('"', 1) + 1 : left.find_first_of(",]} \n\r\t");
  return Clip(left.substr(0, length == 0 ? left.npos : length), 40);
}

bool IsNotFinite(std::string_view came) {
  if (came.starts_with('-') || came.starts_with('+')) came.remove_prefix(1);
  return came.starts_with("NaN") || came.starts_with("nan") || came.starts_with("Inf") ||
         came.starts_with("inf");
}

// Arrays in one another, one element or end at a time.
class NestReader {
 public:
  NestReader(JsonCursor& cursor, const TensorFormat& format, ByteBuffer& raw)
      : cursor_(cursor),
        format_(format),
        raw_(raw),
        read_run_(kRunReaders[static_cast<size_t>(format.datatype)]) {
    lengths_.fill(kUnknown);
  }

  absl::Status Read(Shape& shape) {
    if (cursor_.Peek() != '[') {
      shape.clear();
      return ReadScalar();
    }
    do {
      if (cursor_.Consume('[')) {
        RETURN_IF_ERROR(Open());
        if (cursor_.Peek() != ']') continue;
      } else {
        RETURN_IF_ERROR(ReadRun());
      }
      RETURN_IF_ERROR(CloseEnded());
    } while (depth_ > 0);
    shape.assign(lengths_.begin(), lengths_.begin() + static_cast<std::ptrdiff_t>(rank_));
    return absl::OkStatus();
  }

 private:
  static constexpr int64_t kUnknown = -1;
  static constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();
  static constexpr size_t kNoRank = kMaxRank + 1;

  absl::Status Open() {
    if (depth_ >= kMaxRank) {
      return Wrong(fmt::format("is nested over {} deep", kMaxRank));
    }
    if (depth_ >= rank_) return Ragged();
    counts_[depth_] = 0;
    ++depth_;
    return absl::OkStatus();
  }

  absl::Status ReadRun() {
    if (rank_ == kNoRank) rank_ = depth_;
    if (rank_ != depth_) return Ragged();
    int64_t& count = counts_[depth_ - 1];
    const int64_t before = count;
    const Fault fault = read_run_(cursor_, format_, raw_, kNoLimit, count);
    elements_ += count - before;
    return fault == Fault::kNone ? absl::OkStatus() : Faulty(fault);
  }

  absl::Status ReadScalar() {
    const Fault fault = read_run_(cursor_, format_, raw_, 1, elements_);
    return fault == Fault::kNone ? absl::OkStatus() : Faulty(fault);
  }

  // Closes every array that ends here, and takes the comma behind.
  absl::Status CloseEnded() {
    while (depth_ > 0) {
      if (!cursor_.Consume(']'))
        return Wrong("is not JSON: " + std::string(cursor_.Unexpected("',' or ']'").message()));
      --depth_;
      if (rank_ == kNoRank) rank_ = depth_ + 1;  // an empty array has no deeper ones
      if (lengths_[depth_] == kUnknown) lengths_[depth_] = counts_[depth_];
      if (lengths_[depth_] != counts_[depth_]) return Ragged();
      if (depth_ == 0) break;
      ++counts_[depth_ - 1];
      if (cursor_.Consume(',')) break;
    }
    return absl::OkStatus();
  }

  absl::Status Wrong(std::string_view text) const {
    const std::string place = Place(format_.where, format_.name);
    return WithBadField(absl::InvalidArgumentError(fmt::format("{} {}", place, text)), place);
  }
  absl::Status Ragged() const {
    return Wrong(
        fmt::format("has lists of unequal lengths or depths near element {}; expected "
                    "{} in lists that are all alike",
                    elements_, DataTypeName(format_.datatype)));
  }
  absl::Status Faulty(Fault fault) const;

  JsonCursor& cursor_;
  const TensorFormat& format_;
  ByteBuffer& raw_;
  const RunReader read_run_;
  size_t depth_ = 0;
  // How deep the elements are, once that is known.
  size_t rank_ = kNoRank;
  int64_t elements_ = 0;
  // By level: elements so far of the array that is open, and the length that all
  // arrays of the level have.
  std::array<int64_t, kMaxRank> counts_;
  std::array<int64_t, kMaxRank> lengths_;
};

absl::Status NestReader::Faulty(Fault fault) const {
  if (fault == Fault::kTooLarge) {
    return TooLargeError(fmt::format("{} takes over {} bytes as {}",
                                     Place(format_.where, format_.name), format_.max_bytes,
                                     DataTypeName(format_.datatype)));
  }
  const std::string came = CameText(cursor_);
  const std::string_view expected = kElements[static_cast<size_t>(format_.datatype)];
  const std::string_view name = DataTypeName(format_.datatype);
  if (fault == Fault::kOutOfRange) {
    return Wrong(fmt::format("has {} at element {}; {} holds {}", came, elements_, name, expected));
  }
  if (IsNotFinite(came)) {
    return Wrong(
        fmt::format("has {} at element {}, which JSON cannot carry; send such numbers "
                    "with the binary extension",
                    came, elements_));
  }
  return Wrong(
      fmt::format("has {} at element {}; expected {}: {}", came, elements_, name, expected));
}

}  // namespace

absl::Status ReadTensor(JsonCursor& cursor, const TensorFormat& format, ByteBuffer& raw,
                        Shape& shape) {
  return NestReader(cursor, format, raw).Read(shape);
}

}  // namespace torchfleet::gateway::rest
