#include "cli/infer/tensor_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/npy.h"
#include "base/status.h"

namespace torchfleet::cli {
namespace {

using nlohmann::json;
using wire::DataType;

template <typename Number>
void Append(Number number, std::string& bytes) {
  bytes.append(reinterpret_cast<const char*>(&number), sizeof(number));
}

absl::Status DoesNotFit(const json& value, DataType type) {
  return absl::InvalidArgumentError(
      fmt::format("the value {} is no {}", Clip(value.dump()), wire::DataTypeName(type)));
}

template <typename Whole>
absl::Status AppendWhole(const json& value, DataType type, std::string& bytes) {
  bool fits = false;
  if (value.is_number_unsigned()) {
    fits = std::in_range<Whole>(value.get<uint64_t>());
  } else if (value.is_number_integer()) {
    fits = std::in_range<Whole>(value.get<int64_t>());
  }
  if (!fits) return DoesNotFit(value, type);
  Append(value.get<Whole>(), bytes);
  return absl::OkStatus();
}

// Rounded to odd: what lies beside a tie of halves stays beside it, so that
// rounding twice is rounding once. Source: Boldo and Melquiond, 2008.
float OddFloat(double number) {
  const auto nearest = static_cast<float>(number);
  if (std::isnan(number) || std::isinf(number) || double{nearest} == number) return nearest;
  const float zero =
      std::fabs(double{nearest}) > std::fabs(number) ? std::nextafterf(nearest, 0) : nearest;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(std::copysign(zero, nearest)) | 1);
}

// Round to nearest, ties to even; IEEE 754 binary32 to binary16.
uint16_t HalfFromFloat(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  const float magnitude = std::fabs(value);
  if (std::isnan(value)) return sign | 0x7e00;
  if (magnitude >= 65520.0F) return sign | 0x7c00;
  if (magnitude < 0x1p-14F) {  // subnormal: whole multiples of 2^-24
    return sign | static_cast<uint16_t>(std::nearbyint(magnitude * 0x1p24F));
  }
  const uint32_t rounded = (bits & 0x7fffffff) + 0xfff + (bits >> 13 & 1);
  return static_cast<uint16_t>(sign | ((rounded >> 13) - (uint32_t{112} << 10)));
}

float FloatFromHalf(uint16_t half) {
  const int exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;
  float value = exponent == 0    ? std::ldexp(static_cast<float>(fraction), -24)
                : exponent == 31 ? (fraction ? NAN : INFINITY)
                                 : std::ldexp(static_cast<float>(fraction | 0x400), exponent - 25);
  return half & 0x8000 ? -value : value;
}

uint16_t BrainFromFloat(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

absl::Status AppendReal(const json& value, DataType type, std::string& bytes) {
  if (!value.is_number()) return DoesNotFit(value, type);
  const auto number = value.get<double>();
  if (type == DataType::kFp64) {
    Append(number, bytes);
    return absl::OkStatus();
  }
  if (type == DataType::kFp32) {
    const auto narrow = static_cast<float>(number);
    if (std::isinf(narrow) && !std::isinf(number)) return DoesNotFit(value, type);
    Append(narrow, bytes);
    return absl::OkStatus();
  }
  const bool is_half = type == DataType::kFp16;
  const float narrow = OddFloat(number);
  const uint16_t half = is_half ? HalfFromFloat(narrow) : BrainFromFloat(narrow);
  const uint16_t infinite = is_half ? 0x7c00 : 0x7f80;
  if ((half & 0x7fff) == infinite && !std::isinf(number)) return DoesNotFit(value, type);
  Append(half, bytes);
  return absl::OkStatus();
}

absl::Status AppendElement(const json& value, DataType type, std::string& bytes) {
  switch (type) {
    case DataType::kBool:
      if (!value.is_boolean() && value != 0 && value != 1) return DoesNotFit(value, type);
      Append(static_cast<uint8_t>(value.is_boolean() ? value.get<bool>() : value == 1), bytes);
      return absl::OkStatus();
    case DataType::kUint8:
      return AppendWhole<uint8_t>(value, type, bytes);
    case DataType::kUint16:
      return AppendWhole<uint16_t>(value, type, bytes);
    case DataType::kUint32:
      return AppendWhole<uint32_t>(value, type, bytes);
    case DataType::kUint64:
      return AppendWhole<uint64_t>(value, type, bytes);
    case DataType::kInt8:
      return AppendWhole<int8_t>(value, type, bytes);
    case DataType::kInt16:
      return AppendWhole<int16_t>(value, type, bytes);
    case DataType::kInt32:
      return AppendWhole<int32_t>(value, type, bytes);
    case DataType::kInt64:
      return AppendWhole<int64_t>(value, type, bytes);
    case DataType::kFp16:
    case DataType::kBf16:
    case DataType::kFp32:
    case DataType::kFp64:
      return AppendReal(value, type, bytes);
    case DataType::kBytes:
      break;
  }
  if (!value.is_string()) return DoesNotFit(value, type);
  const auto& text = value.get_ref<const std::string&>();
  Append(static_cast<uint32_t>(text.size()), bytes);
  bytes += text;
  return absl::OkStatus();
}

// `depth`: how many dimensions are known above this value.
absl::Status AppendNested(const json& value, size_t depth, DataType type, Tensor& tensor) {
  if (depth == tensor.shape.size()) {
    if (value.is_array()) {
      return absl::InvalidArgumentError("the lists are not nested equally deep everywhere");
    }
    return AppendElement(value, type, tensor.bytes);
  }
  if (!value.is_array() || value.size() != static_cast<size_t>(tensor.shape[depth])) {
    return absl::InvalidArgumentError(
        fmt::format("dimension {} has lists of different lengths; expected {} elements in each",
                    depth, tensor.shape[depth]));
  }
  for (const json& element : value) {
    RETURN_IF_ERROR(AppendNested(element, depth + 1, type, tensor));
  }
  return absl::OkStatus();
}

template <typename Number>
json Load(const char* bytes) {
  Number number;
  std::memcpy(&number, bytes, sizeof(number));
  return number;
}

// The shortest text that means the same float; JSON has doubles only.
json FloatJson(float value) { return std::stod(fmt::format("{}", value)); }

json Nest(const std::vector<int64_t>& shape, size_t depth, const std::vector<json>& elements,
          size_t& next) {
  if (depth == shape.size()) return elements[next++];
  json list = json::array();
  for (int64_t i = 0; i < shape[depth]; ++i) list.push_back(Nest(shape, depth + 1, elements, next));
  return list;
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ","));
}

// Elements of an answer; INTERNAL for shapes that none can have. Those without
// an element can say any number of empty lists: up to a million are shown.
absl::StatusOr<int64_t> ElementCount(const std::vector<int64_t>& shape) {
  constexpr int64_t kMostLists = 1'000'000;
  int64_t count = 1, lists = 1;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(count, size, &count) ||
        __builtin_mul_overflow(lists, std::max<int64_t>(1, size), &lists)) {
      return absl::InternalError(
          fmt::format("the answer has the shape {}, which none can have", ShapeText(shape)));
    }
  }
  if (count == 0 && lists > kMostLists) {
    return absl::InternalError(
        fmt::format("the answer has the shape {}: only empty lists, and more than {} of them",
                    ShapeText(shape), kMostLists));
  }
  return count;
}

bool Fits(const std::vector<int64_t>& spec, const std::vector<int64_t>& shape) {
  if (spec.size() != shape.size()) return false;
  for (size_t i = 0; i < spec.size(); ++i) {
    if (spec[i] >= 0 && spec[i] != shape[i]) return false;
  }
  return true;
}

bool IsReal(DataType type) {
  return type == DataType::kFp16 || type == DataType::kBf16 || type == DataType::kFp32 ||
         type == DataType::kFp64;
}

// An element as the exact number it is, for a tensor of type `to`.
json Number(const char* bytes, DataType from, DataType to) {
  const json element = from == DataType::kFp32 ? Load<float>(bytes) : ElementToJson(bytes, from);
  if (!element.is_number_float() || IsReal(to)) return element;
  // A whole float is as good as a whole number.
  const auto number = element.get<double>();
  const bool whole = number == std::floor(number) && std::fabs(number) < 0x1p53;
  return whole ? json(static_cast<int64_t>(number)) : element;
}

DataType NpyType(const std::string& descr) {
  const std::string type = descr.substr(1);
  if (type == "b1") return DataType::kBool;
  if (type == "f2") return DataType::kFp16;
  if (type == "f4") return DataType::kFp32;
  if (type == "f8") return DataType::kFp64;
  const bool is_signed = type[0] == 'i';
  switch (type[1]) {
    case '1':
      return is_signed ? DataType::kInt8 : DataType::kUint8;
    case '2':
      return is_signed ? DataType::kInt16 : DataType::kUint16;
    case '4':
      return is_signed ? DataType::kInt32 : DataType::kUint32;
    default:
      return is_signed ? DataType::kInt64 : DataType::kUint64;
  }
}

}  // namespace

absl::StatusOr<Tensor> TensorFromJson(const json& value, DataType type) {
  Tensor tensor;
  for (const json* level = &value; level->is_array(); level = &(*level)[0]) {
    tensor.shape.push_back(static_cast<int64_t>(level->size()));
    if (level->empty()) break;
  }
  RETURN_IF_ERROR(AppendNested(value, 0, type, tensor));
  return tensor;
}

absl::StatusOr<Tensor> TensorFromNpy(std::string_view file, DataType type) {
  ASSIGN_OR_RETURN(const NpyArray array, ParseNpy(file));
  if (type == DataType::kBytes) {
    return absl::InvalidArgumentError("a .npy file holds numbers; write BYTES as JSON strings");
  }
  const DataType from = NpyType(array.descr);
  Tensor tensor{array.shape, {}};
  if (from == type) {
    tensor.bytes = std::string(array.data);
    return tensor;
  }
  const size_t size = wire::ElementSize(from);
  for (size_t at = 0; at < array.data.size(); at += size) {
    RETURN_IF_ERROR(AppendElement(Number(array.data.data() + at, from, type), type, tensor.bytes));
  }
  return tensor;
}

absl::Status FitShape(const InputSpec& spec, Tensor* tensor) {
  if (Fits(spec.shape, tensor->shape)) return absl::OkStatus();
  std::vector<int64_t> batched = {1};
  batched.insert(batched.end(), tensor->shape.begin(), tensor->shape.end());
  if (Fits(spec.shape, batched)) {
    tensor->shape = batched;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(fmt::format("input '{}' has shape {}; the model takes {}",
                                                spec.name, ShapeText(tensor->shape),
                                                ShapeText(spec.shape)));
}

json ElementToJson(const char* bytes, DataType type) {
  switch (type) {
    case DataType::kBool:
      return bytes[0] != 0;
    case DataType::kUint8:
      return Load<uint8_t>(bytes);
    case DataType::kUint16:
      return Load<uint16_t>(bytes);
    case DataType::kUint32:
      return Load<uint32_t>(bytes);
    case DataType::kUint64:
      return Load<uint64_t>(bytes);
    case DataType::kInt8:
      return Load<int8_t>(bytes);
    case DataType::kInt16:
      return Load<int16_t>(bytes);
    case DataType::kInt32:
      return Load<int32_t>(bytes);
    case DataType::kInt64:
      return Load<int64_t>(bytes);
    case DataType::kFp16:
      return FloatJson(FloatFromHalf(Load<uint16_t>(bytes).get<uint16_t>()));
    case DataType::kBf16:
      return FloatJson(std::bit_cast<float>(uint32_t{Load<uint16_t>(bytes).get<uint16_t>()} << 16));
    case DataType::kFp32: {
      float value;
      std::memcpy(&value, bytes, sizeof(value));
      return FloatJson(value);
    }
    case DataType::kFp64:
      return Load<double>(bytes);
    case DataType::kBytes:
      break;
  }
  return nullptr;
}

absl::StatusOr<json> TensorToJson(const Tensor& tensor, DataType type) {
  ASSIGN_OR_RETURN(const int64_t count, ElementCount(tensor.shape));
  std::vector<json> elements;
  std::string_view rest = tensor.bytes;
  for (int64_t i = 0; i < count; ++i) {
    if (type != DataType::kBytes) {
      const size_t size = wire::ElementSize(type);
      if (rest.size() < size)
        return absl::InternalError("the answer has fewer bytes than its shape says");
      elements.push_back(ElementToJson(rest.data(), type));
      rest.remove_prefix(size);
      continue;
    }
    uint32_t length = 0;
    if (rest.size() < sizeof(length))
      return absl::InternalError("the answer's BYTES end too early");
    std::memcpy(&length, rest.data(), sizeof(length));
    rest.remove_prefix(sizeof(length));
    if (rest.size() < length) return absl::InternalError("the answer's BYTES end too early");
    elements.emplace_back(std::string(rest.substr(0, length)));
    rest.remove_prefix(length);
  }
  if (!rest.empty()) return absl::InternalError("the answer has more bytes than its shape says");
  size_t next = 0;
  return Nest(tensor.shape, 0, elements, next);
}

}  // namespace torchfleet::cli
