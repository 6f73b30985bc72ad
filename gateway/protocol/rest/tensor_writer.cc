#include "gateway/protocol/rest/tensor_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "absl/strings/escaping.h"
#include "base/status.h"
#include "base/utf8.h"
#include "gateway/protocol/rest/half_float.h"
#include "gateway/protocol/rest/shape.h"

namespace torchfleet::gateway::rest {
namespace {

using wire::DataType;

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max() / 4;

void Put(char c, ByteBuffer& json) {
  *json.Room(1, kNoLimit) = c;
  json.Commit(1);
}

template <typename Number>
void PutNumber(Number number, ByteBuffer& json) {
  constexpr size_t kLongest = 32;
  char* const room = json.Room(kLongest, kNoLimit);
  const auto end = std::to_chars(room, room + kLongest, number).ptr;
  json.Commit(static_cast<size_t>(end - room));
}

// JSON readers take "-0" for a whole number and lose its sign. Small whole
// numbers are written quicker as such, to the same text.
template <typename Float>
void PutFloat(Float number, ByteBuffer& json) {
  constexpr Float kFewDigits = 100'000;
  const bool few = std::abs(number) < kFewDigits;
  if (number == 0 && std::signbit(number)) {
    AppendText("-0.0", json);
  } else if (few && static_cast<Float>(static_cast<int32_t>(number)) == number) {
    PutNumber(static_cast<int32_t>(number), json);
  } else {
    PutNumber(number, json);
  }
}

template <typename T>
T Take(std::string_view& bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(value));
  bytes.remove_prefix(sizeof(value));
  return value;
}

template <DataType kType>
constexpr auto NativeZero() {
  if constexpr (kType == DataType::kUint8)
    return uint8_t{0};
  else if constexpr (kType == DataType::kUint32)
    return uint32_t{0};
  else if constexpr (kType == DataType::kUint64)
    return uint64_t{0};
  else if constexpr (kType == DataType::kInt8)
    return int8_t{0};
  else if constexpr (kType == DataType::kInt16)
    return int16_t{0};
  else if constexpr (kType == DataType::kInt32)
    return int32_t{0};
  else if constexpr (kType == DataType::kInt64)
    return int64_t{0};
  else if constexpr (kType == DataType::kFp32)
    return 0.0F;
  else if constexpr (kType == DataType::kFp64)
    return 0.0;
  else
    return uint16_t{0};  // UINT16 and the bits of FP16 and BF16
}

template <DataType kType>
bool PutElement(std::string_view& left, ByteBuffer& json) {
  const auto element = Take<decltype(NativeZero<kType>())>(left);
  if constexpr (kType == DataType::kFp16 || kType == DataType::kBf16) {
    constexpr HalfFormat kFormat = kType == DataType::kFp16 ? kFp16 : kBf16;
    if ((element & 0x7FFF) >= kFormat.infinity) return false;
    PutFloat(ShortestHalf(element, kFormat), json);
  } else if constexpr (std::is_floating_point_v<decltype(NativeZero<kType>())>) {
    if (!std::isfinite(element)) return false;
    PutFloat(element, json);
  } else {
    PutNumber(element, json);
  }
  return true;
}

absl::Status BrokenOutput(std::string_view name, std::string_view what) {
  return absl::InternalError(fmt::format("the model's output '{}' {}", Clip(name), what));
}

// How many lists there are around the empty ones.
int64_t EmptyLists(std::span<const int64_t> shape) {
  int64_t lists = 1;
  for (const int64_t dimension : shape) {
    if (dimension == 0) break;
    if (__builtin_mul_overflow(lists, dimension, &lists)) return kMaxEmptyLists + 1;
  }
  return lists;
}

// Elements in a tensor of BYTES, each with its length in front.
std::optional<int64_t> CountBytesElements(std::string_view raw) {
  int64_t count = 0;
  for (; !raw.empty(); ++count) {
    if (raw.size() < sizeof(uint32_t)) return std::nullopt;
    const auto length = Take<uint32_t>(raw);
    if (length > raw.size()) return std::nullopt;
    raw.remove_prefix(length);
  }
  return count;
}

}  // namespace

void AppendText(std::string_view text, ByteBuffer& json) {
  if (text.empty()) return;
  std::memcpy(json.Room(text.size(), kNoLimit), text.data(), text.size());
  json.Commit(text.size());
}

void AppendNumber(int64_t number, ByteBuffer& json) { PutNumber(number, json); }

void AppendString(std::string_view text, ByteBuffer& json) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  char* const begin = json.Room(6 * text.size() + 2, kNoLimit);
  char* out = begin;
  *out++ = '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      *out++ = '\\';
      *out++ = c;
    } else if (static_cast<unsigned char>(c) >= 0x20) {
      *out++ = c;
    } else {
      out = std::copy_n("\\u00", 4, out);
      *out++ = kDigits[static_cast<size_t>(c) >> 4];
      *out++ = kDigits[static_cast<size_t>(c) & 0xF];
    }
  }
  *out++ = '"';
  json.Commit(static_cast<size_t>(out - begin));
}

absl::StatusOr<TensorWriter> TensorWriter::Open(std::string_view name, std::string_view datatype,
                                                std::span<const int64_t> shape,
                                                std::string_view raw, bool base64) {
  const auto type = wire::ParseDataType(datatype);
  if (!type) {
    return BrokenOutput(name, fmt::format("has the datatype '{}', which is none", Clip(datatype)));
  }
  const auto count = ElementCount(shape, name);
  if (!count.ok()) return BrokenOutput(name, "has a shape that is none: " + ShapeText(shape));
  if (*count == 0 && EmptyLists(shape) > kMaxEmptyLists) {
    return BrokenOutput(name, "has nothing but empty lists: " + ShapeText(shape));
  }
  const size_t size = wire::ElementSize(*type);
  const auto found = *type == DataType::kBytes ? CountBytesElements(raw)
                     : raw.size() % size == 0
                         ? std::optional(static_cast<int64_t>(raw.size() / size))
                         : std::nullopt;
  if (found != *count) {
    return BrokenOutput(name, fmt::format("has {} bytes, which are not {} elements of {}",
                                          raw.size(), *count, datatype));
  }
  return TensorWriter(name, *type, raw, *count, base64);
}

TensorWriter::TensorWriter(std::string_view name, DataType datatype, std::string_view raw,
                           int64_t count, bool base64)
    : name_(name), write_run_(WriterOf(datatype)), count_(count), base64_(base64), left_(raw) {}

absl::Status TensorWriter::Append(std::span<const int64_t> dimensions, ByteBuffer& json) {
  if (dimensions.empty()) return (this->*write_run_)(1, json);
  const int64_t length = dimensions.front();
  Put('[', json);
  if (dimensions.size() == 1) {
    RETURN_IF_ERROR((this->*write_run_)(length, json));
  } else {
    for (int64_t i = 0; i < length; ++i) {
      if (i > 0) Put(',', json);
      RETURN_IF_ERROR(Append(dimensions.subspan(1), json));
    }
  }
  Put(']', json);
  return absl::OkStatus();
}

template <DataType kType>
absl::Status TensorWriter::AppendNumbers(int64_t count, ByteBuffer& json) {
  for (int64_t i = 0; i < count; ++i, ++written_) {
    if (i > 0) Put(',', json);
    if (!PutElement<kType>(left_, json)) {
      return NotInJson("a number that is not finite (NaN or infinity)");
    }
  }
  return absl::OkStatus();
}

absl::Status TensorWriter::AppendBools(int64_t count, ByteBuffer& json) {
  for (int64_t i = 0; i < count; ++i, ++written_) {
    if (i > 0) Put(',', json);
    AppendText(Take<char>(left_) != 0 ? "true" : "false", json);
  }
  return absl::OkStatus();
}

absl::Status TensorWriter::AppendStrings(int64_t count, ByteBuffer& json) {
  for (int64_t i = 0; i < count; ++i, ++written_) {
    if (i > 0) Put(',', json);
    const auto length = Take<uint32_t>(left_);
    const std::string_view element = left_.substr(0, length);
    left_.remove_prefix(length);
    if (base64_) {
      AppendText("{\"b64\":\"", json);
      AppendText(absl::Base64Escape({element.data(), element.size()}), json);
      AppendText("\"}", json);
    } else if (IsUtf8(element)) {
      AppendString(element, json);
    } else {
      return NotInJson("bytes that are not UTF-8");
    }
  }
  return absl::OkStatus();
}

TensorWriter::RunWriter TensorWriter::WriterOf(DataType datatype) {
  // In the order of the enumeration.
  static constexpr std::array<RunWriter, wire::kAllDataTypes.size()> kWriters = {
      &TensorWriter::AppendBools,
      &TensorWriter::AppendNumbers<DataType::kUint8>,
      &TensorWriter::AppendNumbers<DataType::kUint16>,
      &TensorWriter::AppendNumbers<DataType::kUint32>,
      &TensorWriter::AppendNumbers<DataType::kUint64>,
      &TensorWriter::AppendNumbers<DataType::kInt8>,
      &TensorWriter::AppendNumbers<DataType::kInt16>,
      &TensorWriter::AppendNumbers<DataType::kInt32>,
      &TensorWriter::AppendNumbers<DataType::kInt64>,
      &TensorWriter::AppendNumbers<DataType::kFp16>,
      &TensorWriter::AppendNumbers<DataType::kBf16>,
      &TensorWriter::AppendNumbers<DataType::kFp32>,
      &TensorWriter::AppendNumbers<DataType::kFp64>,
      &TensorWriter::AppendStrings,
  };
  return kWriters[static_cast<size_t>(datatype)];
}

absl::Status TensorWriter::NotInJson(std::string_view what) const {
  return absl::FailedPreconditionError(
      fmt::format("output '{}' has {} at element {}, which JSON cannot carry; ask for this output "
                  "with binary_data on /v2/models/…/infer",
                  Clip(name_), what, written_));
}

}  // namespace torchfleet::gateway::rest
