#include "model-worker/front/codec.h"

#include <fmt/format.h>

#include <cstring>
#include <limits>

#include "base/status.h"

namespace torchfleet::worker {
namespace {

using inference::InferTensorContents;
using inference::ModelInferRequest;
using wire::DataType;

absl::Status Wrong(std::string_view input, const std::string& message) {
  return WithBadField(
      absl::InvalidArgumentError(fmt::format("input '{}' {}", Clip(input), message)),
      fmt::format("inputs[{}].contents", Clip(input)));
}

// Copies elements that have the wire's own type.
template <typename Field>
std::string Plain(const Field& field) {
  using Element = std::remove_cvref_t<decltype(field.Get(0))>;
  return std::string(reinterpret_cast<const char*>(field.data()),
                     static_cast<size_t>(field.size()) * sizeof(Element));
}

// Narrows elements to the datatype's size.
template <typename Narrow, typename Field>
absl::StatusOr<std::string> Narrowed(std::string_view name, DataType type, const Field& field) {
  std::string bytes(static_cast<size_t>(field.size()) * sizeof(Narrow), '\0');
  char* to = bytes.data();
  for (const auto value : field) {
    if (value < std::numeric_limits<Narrow>::min() || value > std::numeric_limits<Narrow>::max()) {
      return Wrong(name, fmt::format("has the value {}, which {} cannot hold", value,
                                     wire::DataTypeName(type)));
    }
    const auto narrow = static_cast<Narrow>(value);
    std::memcpy(to, &narrow, sizeof(narrow));
    to += sizeof(narrow);
  }
  return bytes;
}

std::string Prefixed(const google::protobuf::RepeatedPtrField<std::string>& elements) {
  std::string bytes;
  for (const std::string& element : elements) {
    const auto length = static_cast<uint32_t>(element.size());
    bytes.append(reinterpret_cast<const char*>(&length), sizeof(length));
    bytes.append(element);
  }
  return bytes;
}

// The elements in the field that belongs to `type`.
absl::StatusOr<std::string> FromField(std::string_view name, DataType type,
                                      const InferTensorContents& contents) {
  switch (type) {
    case DataType::kBool:
      return Plain(contents.bool_contents());
    case DataType::kInt8:
      return Narrowed<int8_t>(name, type, contents.int_contents());
    case DataType::kInt16:
      return Narrowed<int16_t>(name, type, contents.int_contents());
    case DataType::kInt32:
      return Plain(contents.int_contents());
    case DataType::kInt64:
      return Plain(contents.int64_contents());
    case DataType::kUint8:
      return Narrowed<uint8_t>(name, type, contents.uint_contents());
    case DataType::kUint16:
      return Narrowed<uint16_t>(name, type, contents.uint_contents());
    case DataType::kUint32:
      return Plain(contents.uint_contents());
    case DataType::kUint64:
      return Plain(contents.uint64_contents());
    case DataType::kFp32:
      return Plain(contents.fp32_contents());
    case DataType::kFp64:
      return Plain(contents.fp64_contents());
    case DataType::kBytes:
      return Prefixed(contents.bytes_contents());
    case DataType::kFp16:
    case DataType::kBf16:
      break;
  }
  return Wrong(name, fmt::format("is {}, which travels in raw_input_contents only",
                                 wire::DataTypeName(type)));
}

int64_t ElementsInAllFields(const InferTensorContents& c) {
  int64_t count = 0;
  for (const int size : {c.bool_contents_size(), c.int_contents_size(), c.int64_contents_size(),
                         c.uint_contents_size(), c.uint64_contents_size(), c.fp32_contents_size(),
                         c.fp64_contents_size(), c.bytes_contents_size()}) {
    count += size;
  }
  return count;
}

int64_t ElementsInField(DataType type, const InferTensorContents& c) {
  switch (type) {
    case DataType::kBool:
      return c.bool_contents_size();
    case DataType::kInt8:
    case DataType::kInt16:
    case DataType::kInt32:
      return c.int_contents_size();
    case DataType::kInt64:
      return c.int64_contents_size();
    case DataType::kUint8:
    case DataType::kUint16:
    case DataType::kUint32:
      return c.uint_contents_size();
    case DataType::kUint64:
      return c.uint64_contents_size();
    case DataType::kFp32:
      return c.fp32_contents_size();
    case DataType::kFp64:
      return c.fp64_contents_size();
    case DataType::kBytes:
      return c.bytes_contents_size();
    case DataType::kFp16:
    case DataType::kBf16:
      return 0;
  }
  return 0;
}

absl::StatusOr<std::string> Convert(const ModelInferRequest::InferInputTensor& input) {
  const auto type = wire::ParseDataType(input.datatype());
  if (!type) {
    return Wrong(input.name(), fmt::format("has datatype '{}'; expected BOOL, UINT8 … UINT64, INT8 "
                                           "… INT64, FP16, BF16, FP32, FP64 or BYTES",
                                           Clip(input.datatype())));
  }
  const int64_t all = ElementsInAllFields(input.contents());
  if (all > 0 && (*type == DataType::kFp16 || *type == DataType::kBf16)) {
    return Wrong(input.name(), fmt::format("is {}, which travels in raw_input_contents only",
                                           wire::DataTypeName(*type)));
  }
  if (all != ElementsInField(*type, input.contents())) {
    return Wrong(input.name(), fmt::format("is {}, but has contents of another datatype",
                                           wire::DataTypeName(*type)));
  }
  int64_t expected = 0;
  const std::vector<int64_t> shape(input.shape().begin(), input.shape().end());
  if (*type != DataType::kFp16 && *type != DataType::kBf16 && ElementCount(shape, &expected) &&
      expected >= 0 && expected != all) {
    return Wrong(input.name(), fmt::format("has {} elements; its shape {} takes {}", all,
                                           ShapeText(shape), expected));
  }
  return FromField(input.name(), *type, input.contents());
}

}  // namespace

absl::StatusOr<DecodedRequest> DecodeRequest(const ModelInferRequest& request) {
  DecodedRequest decoded;
  const bool raw = request.raw_input_contents_size() > 0;
  if (raw && request.raw_input_contents_size() != request.inputs_size()) {
    return WithBadField(absl::InvalidArgumentError(fmt::format(
                            "{} raw_input_contents came for {} inputs; expected one for each",
                            request.raw_input_contents_size(), request.inputs_size())),
                        "raw_input_contents");
  }
  for (int i = 0; i < request.inputs_size(); ++i) {
    const auto& input = request.inputs(i);
    std::string_view bytes;
    if (raw) {
      if (input.has_contents()) {
        return Wrong(input.name(), "has contents beside raw_input_contents; expected one of them");
      }
      bytes = request.raw_input_contents(i);
    } else {
      ASSIGN_OR_RETURN(std::string converted, Convert(input));
      bytes = decoded.converted.emplace_back(std::move(converted));
    }
    decoded.inputs.push_back(
        {input.name(), input.datatype(), {input.shape().begin(), input.shape().end()}, bytes});
  }
  for (const auto& output : request.outputs()) decoded.requested_outputs.push_back(output.name());
  return decoded;
}

void EncodeResponse(const ModelSpec& spec, const std::vector<size_t>& wanted,
                    std::vector<OutputTensor> outputs, inference::ModelInferResponse* response) {
  response->set_model_name(spec.name);
  response->set_model_version(spec.version);
  for (const size_t index : wanted) {
    OutputTensor& output = outputs[index];
    auto* tensor = response->add_outputs();
    tensor->set_name(spec.outputs[index].name);
    tensor->set_datatype(std::string(wire::DataTypeName(output.type)));
    tensor->mutable_shape()->Add(output.shape.begin(), output.shape.end());
    response->add_raw_output_contents(std::move(output.bytes));
  }
}

}  // namespace torchfleet::worker
