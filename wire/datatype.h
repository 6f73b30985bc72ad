#pragma once
// The Open Inference Protocol's element types.

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace torchfleet::wire {

enum class DataType {
  kBool,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kFp16,
  kBf16,
  kFp32,
  kFp64,
  kBytes,
};

inline constexpr std::array kAllDataTypes = {
    DataType::kBool, DataType::kUint8, DataType::kUint16, DataType::kUint32, DataType::kUint64,
    DataType::kInt8, DataType::kInt16, DataType::kInt32,  DataType::kInt64,  DataType::kFp16,
    DataType::kBf16, DataType::kFp32,  DataType::kFp64,   DataType::kBytes};

// As it stands in messages: "FP32".
std::string_view DataTypeName(DataType type);
// Nothing for a name that is none.
std::optional<DataType> ParseDataType(std::string_view name);
// Bytes of one element; 0 for kBytes, whose elements differ.
size_t ElementSize(DataType type);

}  // namespace torchfleet::wire
