// /v2: JSON, JSON with binary tensors behind it, or one tensor's bytes alone.

#include <fmt/format.h>

#include <charconv>
#include <limits>

#include "gateway/protocol/rest/json_number.h"
#include "gateway/protocol/rest/parameter_reader.h"
#include "gateway/protocol/rest/raw_input.h"
#include "gateway/protocol/rest/request_reader.h"

namespace torchfleet::gateway::rest {
namespace {

constexpr wire::MessageLimits kLimits;

// One body. The reader's parts are filled; `form` says how to answer.
class InferBody {
 public:
  InferBody(std::string_view json, std::string_view binary, size_t max_bytes, RequestParts& parts)
      : cursor_(json),
        binary_(binary),
        max_bytes_(max_bytes),
        parts_(parts),
        message_parameters_(cursor_, parts),
        tensor_parameters_(cursor_, parts) {}

  absl::StatusOr<AnswerForm> Read();

 private:
  struct InputMembers {
    // Data that came before its datatype; it is read once that is known.
    const char* data = nullptr;
    bool has_data = false;
    std::optional<int64_t> binary_size;
  };

  absl::Status ReadInput();
  absl::Status ReadInputMember(std::string_view key, InputParts& input, Members& seen,
                               InputMembers& members);
  absl::Status ReadData(InputParts& input);
  absl::Status FinishInput(InputParts& input, const InputMembers& members);
  absl::Status TakeBinary(InputParts& input, int64_t size);
  absl::Status ReadShape(InputParts& input);
  absl::Status ReadOutput();
  AnswerForm Form() const;

  JsonCursor cursor_;
  std::string_view binary_;
  const size_t max_bytes_;
  RequestParts& parts_;
  ParameterReader message_parameters_;
  ParameterReader tensor_parameters_;
  std::optional<bool> binary_output_;
  // By index of the requested output; outputs may come before parameters.
  std::vector<std::pair<size_t, bool>> output_choices_;
};

absl::StatusOr<AnswerForm> InferBody::Read() {
  enum Member { kId, kParameters, kInputs, kOutputs };
  Members seen;
  RETURN_IF_ERROR(cursor_.Object(parts_.texts, [&](std::string_view key) -> absl::Status {
    if (key == "id") {
      RETURN_IF_ERROR(seen.Add(kId, key));
      ASSIGN_OR_RETURN(parts_.id, cursor_.String(parts_.texts));
      return absl::OkStatus();
    }
    if (key == "parameters") {
      RETURN_IF_ERROR(seen.Add(kParameters, key));
      ASSIGN_OR_RETURN(const ReservedParameters reserved,
                       message_parameters_.Read(key, parts_.parameters));
      binary_output_ = reserved.binary_data_output;
      return absl::OkStatus();
    }
    if (key == "inputs") {
      RETURN_IF_ERROR(seen.Add(kInputs, key));
      return cursor_.Array([&] { return ReadInput(); });
    }
    if (key == "outputs") {
      RETURN_IF_ERROR(seen.Add(kOutputs, key));
      return cursor_.Array([&] { return ReadOutput(); });
    }
    return cursor_.SkipValue();
  }));
  RETURN_IF_ERROR(cursor_.ExpectEnd());
  if (!seen.Has(kInputs)) {
    return Invalid("inputs", "the body has no 'inputs'; expected a list of tensors");
  }
  if (!binary_.empty()) {
    return Invalid("inputs", fmt::format("{} bytes follow the JSON and the tensors that its "
                                         "binary_data_size name",
                                         binary_.size()));
  }
  return Form();
}

AnswerForm InferBody::Form() const {
  AnswerForm form;
  form.binary = binary_output_.value_or(false);
  for (const auto& [index, binary] : output_choices_) {
    if (binary != form.binary) form.exceptions.emplace_back(parts_.outputs[index].name);
  }
  return form;
}

absl::Status InferBody::ReadInput() {
  if (parts_.inputs().size() == kLimits.tensors) {
    return Invalid("inputs", fmt::format("there are over {} inputs", kLimits.tensors));
  }
  InputParts& input = parts_.AddInput();
  Members seen;
  InputMembers members;
  parts_.value_shape.clear();
  RETURN_IF_ERROR(cursor_.Object(parts_.texts, [&](std::string_view key) {
    return ReadInputMember(key, input, seen, members);
  }));
  return FinishInput(input, members);
}

absl::Status InferBody::ReadInputMember(std::string_view key, InputParts& input, Members& seen,
                                        InputMembers& members) {
  enum Member { kName, kDatatype, kShape, kParameters, kData };
  if (key == "name") {
    RETURN_IF_ERROR(seen.Add(kName, key));
    ASSIGN_OR_RETURN(input.name, cursor_.String(parts_.texts));
    return absl::OkStatus();
  }
  if (key == "datatype") {
    RETURN_IF_ERROR(seen.Add(kDatatype, key));
    ASSIGN_OR_RETURN(input.datatype, cursor_.String(parts_.texts));
    return absl::OkStatus();
  }
  if (key == "shape") {
    RETURN_IF_ERROR(seen.Add(kShape, key));
    return ReadShape(input);
  }
  if (key == "parameters") {
    RETURN_IF_ERROR(seen.Add(kParameters, key));
    ASSIGN_OR_RETURN(const ReservedParameters reserved,
                     tensor_parameters_.Read("inputs", input.parameters));
    members.binary_size = reserved.binary_data_size;
    return absl::OkStatus();
  }
  if (key == "data") {
    RETURN_IF_ERROR(seen.Add(kData, key));
    members.has_data = true;
    if (!input.datatype.empty()) return ReadData(input);
    cursor_.Peek();
    members.data = cursor_.at();
  }
  return cursor_.SkipValue();
}

absl::Status InferBody::ReadData(InputParts& input) {
  const auto datatype = wire::ParseDataType(input.datatype);
  if (!datatype) {
    return Invalid(Place("inputs", input.name) + ".datatype",
                   fmt::format("{} has the datatype '{}'; expected BOOL, UINT8 to UINT64, INT8 to "
                               "INT64, FP16, BF16, FP32, FP64 or BYTES",
                               Place("inputs", input.name), Clip(input.datatype)));
  }
  if (cursor_.Peek() != '[') return cursor_.Unexpected("a list as data");
  return ReadTensor(
      cursor_,
      {.datatype = *datatype, .where = "inputs", .name = input.name, .max_bytes = max_bytes_},
      input.raw, parts_.value_shape);
}

absl::Status InferBody::FinishInput(InputParts& input, const InputMembers& members) {
  const auto wrong = [&](std::string_view what) {
    const std::string place = Place("inputs", input.name);
    return Invalid(place, fmt::format("{} {}", place, what));
  };
  if (input.name.empty()) {
    return wrong(fmt::format("at place {} has no name", parts_.inputs().size() - 1));
  }
  if (input.datatype.empty()) return wrong("has no datatype");
  if (members.data != nullptr) {
    const char* const after = cursor_.at();
    cursor_.MoveTo(members.data);
    RETURN_IF_ERROR(ReadData(input));
    cursor_.MoveTo(after);
  }
  ASSIGN_OR_RETURN(const int64_t count, ElementCount(input.shape, input.name));
  if (members.binary_size) {
    if (members.has_data) return wrong("has both data and binary_data_size; expected one of them");
    return TakeBinary(input, *members.binary_size);
  }
  if (!members.has_data) return wrong("has neither data nor binary_data_size");
  const Shape& nested = parts_.value_shape;
  if (nested.size() > 1) {
    if (nested == input.shape) return absl::OkStatus();
    return wrong(fmt::format("has the shape {} but data nested as {}", ShapeText(input.shape),
                             ShapeText(nested)));
  }
  if (nested.front() == count) return absl::OkStatus();
  return wrong(fmt::format("has {} elements as data; its shape {} takes {}", nested.front(),
                           ShapeText(input.shape), count));
}

absl::Status InferBody::TakeBinary(InputParts& input, int64_t size) {
  if (static_cast<uint64_t>(size) > binary_.size()) {
    const std::string place = Place("inputs", input.name);
    return Invalid(place, fmt::format("{} has {} as binary_data_size; {} bytes are left behind the "
                                      "JSON (Inference-Header-Content-Length tells its length)",
                                      place, size, binary_.size()));
  }
  input.binary = binary_.substr(0, static_cast<size_t>(size));
  binary_.remove_prefix(static_cast<size_t>(size));
  const auto datatype = wire::ParseDataType(input.datatype);
  // Names of datatypes and lengths inside BYTES are the worker's to check.
  const size_t element = datatype ? wire::ElementSize(*datatype) : 0;
  ASSIGN_OR_RETURN(const int64_t count, ElementCount(input.shape, input.name));
  size_t expected = 0;
  if (element == 0 || (!__builtin_mul_overflow(static_cast<size_t>(count), element, &expected) &&
                       expected == input.binary->size())) {
    return absl::OkStatus();
  }
  const std::string place = Place("inputs", input.name);
  return Invalid(place, fmt::format("{} has {} bytes of data; {} elements of {} take {}", place,
                                    size, count, input.datatype,
                                    static_cast<double>(count) * static_cast<double>(element)));
}

absl::Status InferBody::ReadShape(InputParts& input) {
  return cursor_.Array([&]() -> absl::Status {
    if (input.shape.size() == kLimits.dimensions) {
      return Invalid("inputs", fmt::format("{} has over {} dimensions", Place("inputs", input.name),
                                           kLimits.dimensions));
    }
    cursor_.Peek();
    Decimal decimal;
    const char* const after = ScanNumber(cursor_.at(), cursor_.end(), decimal);
    constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    uint64_t whole;
    if (after == nullptr || !ToWhole(decimal, whole) || whole > kMost) {
      return cursor_.Unexpected("a dimension, a 64-bit number");
    }
    const auto dimension = static_cast<int64_t>(whole);
    input.shape.push_back(decimal.negative ? -dimension : dimension);
    cursor_.MoveTo(after);
    return absl::OkStatus();
  });
}

absl::Status InferBody::ReadOutput() {
  enum Member { kName, kParameters };
  if (parts_.outputs.size() == kLimits.requested_outputs) {
    return Invalid("outputs",
                   fmt::format("over {} outputs are asked for", kLimits.requested_outputs));
  }
  OutputParts& output = parts_.outputs.emplace_back();
  const size_t index = parts_.outputs.size() - 1;
  Members seen;
  RETURN_IF_ERROR(cursor_.Object(parts_.texts, [&](std::string_view key) -> absl::Status {
    if (key == "name") {
      RETURN_IF_ERROR(seen.Add(kName, key));
      ASSIGN_OR_RETURN(output.name, cursor_.String(parts_.texts));
      return absl::OkStatus();
    }
    if (key != "parameters") return cursor_.SkipValue();
    RETURN_IF_ERROR(seen.Add(kParameters, key));
    ASSIGN_OR_RETURN(const ReservedParameters reserved,
                     tensor_parameters_.Read("outputs", output.parameters));
    if (reserved.binary_data) output_choices_.emplace_back(index, *reserved.binary_data);
    return absl::OkStatus();
  }));
  if (!output.name.empty()) return absl::OkStatus();
  return Invalid("outputs", fmt::format("the output at place {} has no name", index));
}

}  // namespace

absl::StatusOr<RestRequest> RequestReader::ReadInfer(const RestCall& call, const ModelSpec* spec) {
  Begin();
  if (RestCodec::IsRaw(call)) {
    RETURN_IF_ERROR(ReadRawInput(call, spec, parts_));
    AnswerForm form;
    form.binary = true;
    return Finish(call, std::move(form));
  }
  size_t length = call.body.size();
  if (call.inference_header_length) {
    const std::string_view text = *call.inference_header_length;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), length);
    if (read.ec != std::errc() || read.ptr != text.data() + text.size() ||
        length > call.body.size()) {
      return Invalid("Inference-Header-Content-Length",
                     fmt::format("Inference-Header-Content-Length is '{}'; expected the length of "
                                 "the JSON in a body of {} bytes",
                                 Clip(text), call.body.size()));
    }
  }
  const std::string_view json = call.body.substr(0, length);
  RETURN_IF_ERROR(CheckUtf8(json));
  ASSIGN_OR_RETURN(AnswerForm form,
                   InferBody(json, call.body.substr(length), limits_.message_bytes, parts_).Read());
  return Finish(call, std::move(form));
}

}  // namespace torchfleet::gateway::rest
