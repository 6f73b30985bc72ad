#include "wire/parameter_scan.h"

#include <fmt/format.h>

#include <bit>
#include <cstdint>

#include "wire/wire_reader.h"

namespace torchfleet::wire {
namespace {

// Field numbers of ModelInferRequest, of a map's entry and of InferParameter.
constexpr uint32_t kParameters = 4;
constexpr uint32_t kEntryKey = 1, kEntryValue = 2;
constexpr uint32_t kBool = 1, kInt64 = 2, kString = 3, kDouble = 4, kUint64 = 5;

std::optional<std::string> ValueText(std::string_view value) {
  WireReader reader{ContiguousBytes(value)};
  std::optional<std::string> text;
  uint32_t tag;
  while (!reader.AtEnd()) {
    if (!reader.ReadTag(tag)) return std::nullopt;
    uint64_t number;
    std::string_view bytes;
    switch (tag) {
      case MakeTag(kBool, WireType::kVarint):
        if (!reader.ReadVarint(number)) return std::nullopt;
        text = number != 0 ? "true" : "false";
        break;
      case MakeTag(kInt64, WireType::kVarint):
        if (!reader.ReadVarint(number)) return std::nullopt;
        text = std::to_string(static_cast<int64_t>(number));
        break;
      case MakeTag(kUint64, WireType::kVarint):
        if (!reader.ReadVarint(number)) return std::nullopt;
        text = std::to_string(number);
        break;
      case MakeTag(kDouble, WireType::kFixed64):
        if (!reader.ReadFixed(number)) return std::nullopt;
        text = fmt::format("{}", std::bit_cast<double>(number));
        break;
      case LengthTag(kString):
        if (!reader.ReadBytes(bytes)) return std::nullopt;
        text = std::string(bytes);
        break;
      default:
        if (!reader.SkipField(tag, kMaxNesting)) return std::nullopt;
    }
  }
  return text;
}

// The value of an entry with that key.
std::optional<std::string> EntryText(std::string_view entry, std::string_view name) {
  WireReader reader{ContiguousBytes(entry)};
  std::string_view key, value;
  uint32_t tag;
  while (!reader.AtEnd()) {
    if (!reader.ReadTag(tag)) return std::nullopt;
    const bool read = tag == LengthTag(kEntryKey)     ? reader.ReadBytes(key)
                      : tag == LengthTag(kEntryValue) ? reader.ReadBytes(value)
                                                      : reader.SkipField(tag, kMaxNesting);
    if (!read) return std::nullopt;
  }
  return key == name ? ValueText(value) : std::nullopt;
}

}  // namespace

std::optional<std::string> FindParameter(std::string_view beginning, std::string_view name) {
  WireReader reader{ContiguousBytes(beginning)};
  std::optional<std::string> found;
  uint32_t tag;
  while (!reader.AtEnd() && reader.ReadTag(tag) && tag >> 3 <= kParameters) {
    if (tag != LengthTag(kParameters)) {
      if (!reader.SkipField(tag, kMaxNesting)) break;
      continue;
    }
    std::string_view entry;
    if (!reader.ReadBytes(entry)) break;
    if (auto text = EntryText(entry, name)) found = std::move(text);
  }
  return found;
}

}  // namespace torchfleet::wire
