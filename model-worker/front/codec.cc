#include "model-worker/front/codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/status.h"
#include "wire/tensor_contents.h"

namespace torchfleet::worker {
namespace {

using wire::TensorView;

absl::Status Wrong(std::string_view input, const std::string& message) {
  return WithBadField(
      absl::InvalidArgumentError(fmt::format("input '{}' {}", Clip(input), message)),
      fmt::format("inputs[{}].contents", Clip(input)));
}

// A tensor's elements, which came typed, as raw contents.
absl::StatusOr<std::string> Convert(const TensorView& input) {
  const auto type = wire::ParseDataType(input.datatype);
  if (!type) {
    return Wrong(input.name, fmt::format("has datatype '{}'; expected BOOL, UINT8 … UINT64, INT8 "
                                         "… INT64, FP16, BF16, FP32, FP64 or BYTES",
                                         Clip(input.datatype)));
  }
  const auto kind = wire::ContentsKindOf(*type);
  if (!kind) {
    return Wrong(input.name, fmt::format("is {}, which travels in raw_input_contents only",
                                         wire::DataTypeName(*type)));
  }
  const size_t all = input.contents.Total();
  if (all != input.contents.Count(*kind)) {
    return Wrong(input.name, fmt::format("is {}, but has contents of another datatype",
                                         wire::DataTypeName(*type)));
  }
  int64_t expected = 0;
  const std::vector<int64_t> shape(input.shape.begin(), input.shape.end());
  if (ElementCount(shape, &expected) && expected >= 0 && static_cast<size_t>(expected) != all) {
    return Wrong(input.name, fmt::format("has {} elements; its shape {} takes {}", all,
                                         ShapeText(shape), expected));
  }
  ASSIGN_OR_RETURN(const size_t size, wire::RawContentsSize(input, *type));
  std::string raw(size, '\0');
  if (const absl::Status status = wire::CopyContents(input, *type, raw); !status.ok()) {
    return Wrong(input.name, fmt::format("cannot be {}: {}", wire::DataTypeName(*type),
                                         std::string(status.message())));
  }
  return raw;
}

absl::StatusOr<std::optional<uint64_t>> WholeNumber(const wire::InferRequestView& request,
                                                    std::string_view key) {
  const wire::ParameterValue* const value = wire::FindParameter(request.parameters(), key);
  if (value == nullptr) return std::nullopt;
  if (const auto* const number = std::get_if<uint64_t>(value)) return *number;
  if (const auto* const number = std::get_if<int64_t>(value); number && *number >= 0) {
    return static_cast<uint64_t>(*number);
  }
  return WithBadField(
      absl::InvalidArgumentError(
          fmt::format("the parameter '{}' is no int64_param or uint64_param of 0 or more", key)),
      "parameters");
}

}  // namespace

absl::Status DecodeRequest(const wire::InferRequestView& request, DecodedRequest& decoded) {
  decoded.Clear();
  const auto raw = request.raw_input_contents();
  if (!raw.empty() && raw.size() != request.inputs().size()) {
    return WithBadField(absl::InvalidArgumentError(fmt::format(
                            "{} raw_input_contents came for {} inputs; expected one for each",
                            raw.size(), request.inputs().size())),
                        "raw_input_contents");
  }
  for (size_t i = 0; i < request.inputs().size(); ++i) {
    const TensorView& input = request.inputs()[i];
    std::string_view bytes;
    if (!raw.empty()) {
      if (input.contents.present) {
        return Wrong(input.name, "has contents beside raw_input_contents; expected one of them");
      }
      bytes = raw[i];
    } else {
      ASSIGN_OR_RETURN(std::string converted, Convert(input));
      bytes = decoded.converted.emplace_back(std::move(converted));
    }
    decoded.inputs.push_back(
        {input.name, input.datatype, {input.shape.begin(), input.shape.end()}, bytes});
  }
  for (const auto& output : request.outputs()) decoded.requested_outputs.push_back(output.name);
  return absl::OkStatus();
}

absl::StatusOr<bool> TellsFinal(const wire::InferRequestView& request) {
  constexpr std::string_view kAsked = "triton_enable_empty_final_response";
  const wire::ParameterValue* const value = wire::FindParameter(request.parameters(), kAsked);
  if (value == nullptr) return false;
  if (const bool* const asked = std::get_if<bool>(value)) return *asked;
  return WithBadField(absl::InvalidArgumentError(fmt::format(
                          "the parameter '{}' is no bool_param; expected true or false", kAsked)),
                      "parameters");
}

absl::Status ReadTerms(const wire::InferRequestView& request, RequestTerms& terms) {
  terms.priority = 0;
  terms.timeout.reset();
  if (request.parameters().empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto priority, WholeNumber(request, "priority"));
  ASSIGN_OR_RETURN(const auto timeout, WholeNumber(request, "timeout"));
  terms.priority = priority.value_or(0);
  // A day is for ever, and can be added to any moment.
  constexpr uint64_t kDay = uint64_t{24} * 3600 * 1'000'000;
  if (timeout.value_or(0) > 0) {
    terms.timeout = absl::Microseconds(static_cast<int64_t>(std::min(*timeout, kDay)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::span<const std::string_view>> WriteResponse(
    const ModelSpec& spec, const AnswerForm& form, const std::vector<OutputTensor>& outputs,
    wire::InferWriter& writer) {
  absl::InlinedVector<wire::TensorSource, 4> tensors;
  for (const size_t index : form.wanted) {
    const OutputTensor& output = outputs[index];
    tensors.push_back({.name = spec.outputs[index].name,
                       .datatype = wire::DataTypeName(output.type),
                       .shape = output.shape,
                       .parameters = {},
                       .data = output.bytes});
  }
  static constexpr wire::Parameter kFinal = {.key = "triton_final_response", .value = true};
  const std::span<const wire::Parameter> said(&kFinal, form.tells_final ? 1 : 0);
  return writer.Write(wire::ResponseSource{.model_name = spec.name,
                                           .model_version = spec.version,
                                           .id = form.id,
                                           .parameters = said,
                                           .outputs = tensors});
}

}  // namespace torchfleet::worker
