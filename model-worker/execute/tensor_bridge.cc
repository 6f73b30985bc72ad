#include "model-worker/execute/tensor_bridge.h"

#include <fmt/format.h>

#include <cstring>

#include "base/status.h"

namespace torchfleet::worker {
namespace {

using wire::DataType;

struct Pair {
  DataType wire;
  at::ScalarType torch;
};

constexpr Pair kTypes[] = {
    {DataType::kBool, at::kBool},     {DataType::kUint8, at::kByte},
    {DataType::kUint16, at::kUInt16}, {DataType::kUint32, at::kUInt32},
    {DataType::kUint64, at::kUInt64}, {DataType::kInt8, at::kChar},
    {DataType::kInt16, at::kShort},   {DataType::kInt32, at::kInt},
    {DataType::kInt64, at::kLong},    {DataType::kFp16, at::kHalf},
    {DataType::kBf16, at::kBFloat16}, {DataType::kFp32, at::kFloat},
    {DataType::kFp64, at::kDouble},
};

at::ScalarType TorchType(DataType type) {
  for (const Pair& pair : kTypes) {
    if (pair.wire == type) return pair.torch;
  }
  return at::kFloat;  // kBytes never comes here
}

void AddStrings(std::string_view bytes, c10::List<std::string>& strings) {
  while (!bytes.empty()) {
    uint32_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof(length));
    strings.push_back(std::string(bytes.substr(sizeof(length), length)));
    bytes.remove_prefix(sizeof(length) + length);
  }
}

c10::List<std::string> Strings(const BatchInput& input) {
  c10::List<std::string> strings;
  for (const std::string_view piece : input.pieces) AddStrings(piece, strings);
  return strings;
}

// A list has no shape: the spec's fixed dimensions stay, the first that varies
// takes the rest, others are 1. Where that does not come out, just the count.
std::vector<int64_t> ListShape(const std::vector<int64_t>& promised, int64_t count) {
  int64_t fixed = 1;
  for (const int64_t dimension : promised) {
    if (dimension > 0) fixed *= dimension;
  }
  bool varies = false;
  std::vector<int64_t> shape = promised;
  for (int64_t& dimension : shape) {
    if (dimension >= 0) continue;
    dimension = varies ? 1 : count / fixed;
    varies = true;
  }
  const bool fits = varies ? count % fixed == 0 : count == fixed;
  return fits ? shape : std::vector<int64_t>{count};
}

OutputTensor FromStrings(const TensorSpec& spec, const c10::List<c10::IValue>& strings) {
  std::string bytes;
  for (size_t i = 0; i < strings.size(); ++i) {
    const std::string& text = strings.get(i).toStringRef();
    const auto length = static_cast<uint32_t>(text.size());
    bytes.append(reinterpret_cast<const char*>(&length), sizeof(length));
    bytes.append(text);
  }
  return OutputTensor::Own(DataType::kBytes,
                           ListShape(spec.shape, static_cast<int64_t>(strings.size())),
                           std::move(bytes));
}

}  // namespace

c10::IValue ToTorch(const TensorSpec& spec, const BatchInput& input) {
  if (spec.type == DataType::kBytes) return Strings(input);
  const auto options = at::TensorOptions().dtype(TorchType(spec.type));
  if (input.whole() && !input.pieces[0].empty()) {
    const char* const bytes = input.pieces[0].data();
    if (reinterpret_cast<uintptr_t>(bytes) % wire::ElementSize(spec.type) == 0) {
      // from_blob takes no const; models do not write to their inputs.
      return torch::from_blob(const_cast<char*>(bytes), input.shape, options);
    }
  }
  at::Tensor copy = at::empty(input.shape, options);
  input.CopyTo(static_cast<char*>(copy.data_ptr()));
  return copy;
}

absl::StatusOr<OutputTensor> FromTorch(const TensorSpec& spec, const c10::IValue& value) {
  if (value.isList() && spec.type == DataType::kBytes) return FromStrings(spec, value.toList());
  if (!value.isTensor()) {
    return absl::InternalError(fmt::format("output '{}': the model gave {}, expected a tensor",
                                           Clip(spec.name), value.tagKind()));
  }
  const at::Tensor tensor = value.toTensor().to(at::kCPU).contiguous().resolve_neg();
  for (const Pair& pair : kTypes) {
    if (pair.torch != tensor.scalar_type()) continue;
    return OutputTensor{pair.wire,
                        {tensor.sizes().begin(), tensor.sizes().end()},
                        {static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()},
                        std::make_shared<const at::Tensor>(tensor)};
  }
  return absl::InternalError(
      fmt::format("output '{}': the model gave elements of type {}, which "
                  "the protocol does not know",
                  Clip(spec.name), at::toString(tensor.scalar_type())));
}

}  // namespace torchfleet::worker
