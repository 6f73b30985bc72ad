#include "wire/tensor_contents.h"

#include <fmt/format.h>

#include <cstring>
#include <limits>

#include "base/status.h"

namespace torchfleet::wire {
namespace {

constexpr size_t kBytesPrefix = sizeof(uint32_t);

// Writes each element as a T; the first that no T holds becomes the status.
template <typename T, ContentsKind kKind>
absl::Status CopyAs(const TensorView& tensor, std::span<char> raw) {
  absl::Status status;
  size_t index = 0;
  VisitContents<kKind>(tensor, [&](auto element) {
    const auto value = static_cast<T>(element);
    if (static_cast<decltype(element)>(value) != element && element == element && status.ok()) {
      status = WithBadField(absl::InvalidArgumentError(fmt::format(
                                "element {} of '{}' is {}; expected {} to {} for its datatype",
                                index, Clip(tensor.name), element, +std::numeric_limits<T>::min(),
                                +std::numeric_limits<T>::max())),
                            tensor.name);
    }
    std::memcpy(raw.data() + index * sizeof(T), &value, sizeof(T));
    ++index;
  });
  return status;
}

absl::Status CopyBytes(const TensorView& tensor, std::span<char> raw) {
  char* at = raw.data();
  VisitContents<ContentsKind::kBytes>(tensor, [&](std::string_view element) {
    const auto length = static_cast<uint32_t>(element.size());
    std::memcpy(at, &length, kBytesPrefix);
    at += kBytesPrefix;
    if (!element.empty()) std::memcpy(at, element.data(), element.size());
    at += element.size();
  });
  return absl::OkStatus();
}

}  // namespace

std::optional<ContentsKind> ContentsKindOf(DataType type) {
  switch (type) {
    case DataType::kBool:
      return ContentsKind::kBool;
    case DataType::kUint8:
    case DataType::kUint16:
    case DataType::kUint32:
      return ContentsKind::kUint;
    case DataType::kUint64:
      return ContentsKind::kUint64;
    case DataType::kInt8:
    case DataType::kInt16:
    case DataType::kInt32:
      return ContentsKind::kInt;
    case DataType::kInt64:
      return ContentsKind::kInt64;
    case DataType::kFp32:
      return ContentsKind::kFp32;
    case DataType::kFp64:
      return ContentsKind::kFp64;
    case DataType::kBytes:
      return ContentsKind::kBytes;
    case DataType::kFp16:
    case DataType::kBf16:
      break;
  }
  return std::nullopt;
}

std::string_view ContentsFieldName(ContentsKind kind) {
  static constexpr std::array<std::string_view, kContentsKinds> kNames = {
      "bool_contents",   "int_contents",  "int64_contents", "uint_contents",
      "uint64_contents", "fp32_contents", "fp64_contents",  "bytes_contents"};
  return kNames[static_cast<size_t>(kind) - 1];
}

absl::StatusOr<size_t> RawContentsSize(const TensorView& tensor, DataType type) {
  const std::optional<ContentsKind> kind = ContentsKindOf(type);
  if (!kind) {
    return WithBadField(absl::InvalidArgumentError(fmt::format(
                            "'{}' has its elements in contents; {} is sent as raw contents only",
                            Clip(tensor.name), DataTypeName(type))),
                        tensor.name);
  }
  const size_t count = tensor.contents.Count(*kind);
  if (tensor.contents.Total() != count) {
    return WithBadField(absl::InvalidArgumentError(
                            fmt::format("'{}' is {} and has elements outside {}", Clip(tensor.name),
                                        DataTypeName(type), ContentsFieldName(*kind))),
                        tensor.name);
  }
  if (type != DataType::kBytes) return count * ElementSize(type);
  size_t size = count * kBytesPrefix;
  VisitContents<ContentsKind::kBytes>(tensor,
                                      [&](std::string_view element) { size += element.size(); });
  return size;
}

absl::Status CopyContents(const TensorView& tensor, DataType type, std::span<char> raw) {
  ASSIGN_OR_RETURN(const size_t size, RawContentsSize(tensor, type));
  if (raw.size() != size) {
    return absl::InternalError(fmt::format("room for {} bytes of '{}'; its contents take {}",
                                           raw.size(), Clip(tensor.name), size));
  }
  switch (type) {
    case DataType::kBool:
      return CopyAs<bool, ContentsKind::kBool>(tensor, raw);
    case DataType::kUint8:
      return CopyAs<uint8_t, ContentsKind::kUint>(tensor, raw);
    case DataType::kUint16:
      return CopyAs<uint16_t, ContentsKind::kUint>(tensor, raw);
    case DataType::kUint32:
      return CopyAs<uint32_t, ContentsKind::kUint>(tensor, raw);
    case DataType::kUint64:
      return CopyAs<uint64_t, ContentsKind::kUint64>(tensor, raw);
    case DataType::kInt8:
      return CopyAs<int8_t, ContentsKind::kInt>(tensor, raw);
    case DataType::kInt16:
      return CopyAs<int16_t, ContentsKind::kInt>(tensor, raw);
    case DataType::kInt32:
      return CopyAs<int32_t, ContentsKind::kInt>(tensor, raw);
    case DataType::kInt64:
      return CopyAs<int64_t, ContentsKind::kInt64>(tensor, raw);
    case DataType::kFp32:
      return CopyAs<float, ContentsKind::kFp32>(tensor, raw);
    case DataType::kFp64:
      return CopyAs<double, ContentsKind::kFp64>(tensor, raw);
    case DataType::kBytes:
      return CopyBytes(tensor, raw);
    case DataType::kFp16:
    case DataType::kBf16:
      break;
  }
  return absl::InternalError("RawContentsSize took a datatype that has no contents");
}

}  // namespace torchfleet::wire
