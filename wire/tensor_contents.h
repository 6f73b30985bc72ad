#pragma once
// Reads a tensor's typed contents, which a parsed view left encoded, and turns
// them into the layout of raw contents.
//
// Functions only; thread-safe as long as the message's bytes stand.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "wire/datatype.h"
#include "wire/infer_views.h"
#include "wire/wire_reader.h"

namespace torchfleet::wire {

// The field that holds elements of `type`. Nothing for FP16 and BF16, which the
// protocol sends raw only.
std::optional<ContentsKind> ContentsKindOf(DataType type);

// As the message's definition calls it: "fp32_contents".
std::string_view ContentsFieldName(ContentsKind kind);

// Bytes that the tensor's contents take as raw contents of `type`.
// INVALID_ARGUMENT when `type` is sent raw only or the tensor holds elements of
// another kind.
absl::StatusOr<size_t> RawContentsSize(const TensorView& tensor, DataType type);

// Writes the contents as raw contents: little-endian, BOOL a byte each, a BYTES
// element its length in four bytes and then its data. `raw` has
// RawContentsSize() bytes. INVALID_ARGUMENT for a number that `type` cannot
// hold, named with its place.
absl::Status CopyContents(const TensorView& tensor, DataType type, std::span<char> raw);

namespace contents_internal {

template <ContentsKind kKind>
struct Element;
template <>
struct Element<ContentsKind::kBool> : std::type_identity<bool> {};
template <>
struct Element<ContentsKind::kInt> : std::type_identity<int32_t> {};
template <>
struct Element<ContentsKind::kInt64> : std::type_identity<int64_t> {};
template <>
struct Element<ContentsKind::kUint> : std::type_identity<uint32_t> {};
template <>
struct Element<ContentsKind::kUint64> : std::type_identity<uint64_t> {};
template <>
struct Element<ContentsKind::kFp32> : std::type_identity<float> {};
template <>
struct Element<ContentsKind::kFp64> : std::type_identity<double> {};
template <>
struct Element<ContentsKind::kBytes> : std::type_identity<std::string_view> {};

template <typename T>
bool ReadElement(WireReader& reader, T& element) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return reader.ReadBytes(element);
  } else if constexpr (std::is_floating_point_v<T>) {
    return reader.ReadFixed(element);
  } else {
    uint64_t number;
    if (!reader.ReadVarint(number)) return false;
    if constexpr (std::is_same_v<T, bool>) {
      element = number != 0;
    } else {
      element = static_cast<T>(number);  // bits over its size are lost
    }
    return true;
  }
}

template <typename T>
constexpr WireType SingleWireType() {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return WireType::kLengthDelimited;
  } else if constexpr (std::is_same_v<T, float>) {
    return WireType::kFixed32;
  } else if constexpr (std::is_same_v<T, double>) {
    return WireType::kFixed64;
  } else {
    return WireType::kVarint;
  }
}

// Calls visit(element) for each of the kind in one InferTensorContents.
template <ContentsKind kKind, typename Visitor>
void VisitMessage(std::string_view contents, Visitor& visit) {
  using T = typename Element<kKind>::type;
  constexpr auto kField = static_cast<uint32_t>(kKind);
  constexpr bool kPackable = !std::is_same_v<T, std::string_view>;
  WireReader reader{ContiguousBytes(contents)};
  uint32_t tag;
  T element;
  while (!reader.AtEnd() && reader.ReadTag(tag)) {
    if (tag == MakeTag(kField, SingleWireType<T>())) {
      if (!ReadElement(reader, element)) return;
      visit(element);
    } else if (kPackable && tag == LengthTag(kField)) {
      std::string_view packed;
      if (!reader.ReadBytes(packed)) return;
      WireReader elements{ContiguousBytes(packed)};
      while (!elements.AtEnd() && ReadElement(elements, element)) visit(element);
    } else if (!reader.SkipField(tag, kMaxNesting)) {
      return;
    }
  }
}

}  // namespace contents_internal

// Calls visit(element) for every element of that kind in order: bool, int32_t,
// int64_t, uint32_t, uint64_t, float, double, or a std::string_view of bytes.
template <ContentsKind kKind, typename Visitor>
void VisitContents(const TensorView& tensor, Visitor&& visit) {
  constexpr uint32_t kContentsField = 5;
  WireReader reader{ContiguousBytes(tensor.contents.tensor)};
  uint32_t tag;
  while (!reader.AtEnd() && reader.ReadTag(tag)) {
    if (tag != LengthTag(kContentsField)) {
      if (!reader.SkipField(tag, kMaxNesting)) return;
      continue;
    }
    std::string_view contents;
    if (!reader.ReadBytes(contents)) return;
    contents_internal::VisitMessage<kKind>(contents, visit);
  }
}

}  // namespace torchfleet::wire
