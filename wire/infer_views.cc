#include "wire/infer_views.h"

#include <algorithm>
#include <numeric>

#include "wire/infer_parser.h"

namespace torchfleet::wire {

const ParameterValue* FindParameter(std::span<const Parameter> parameters, std::string_view key) {
  const auto found = std::find_if(parameters.begin(), parameters.end(),
                                  [&](const Parameter& parameter) { return parameter.key == key; });
  return found == parameters.end() ? nullptr : &found->value;
}

size_t TypedContents::Total() const {
  return std::accumulate(counts.begin(), counts.end(), size_t{0});
}

void MessageParts::Clear() {
  model_name = {};
  model_version = {};
  id = {};
  parameters.clear();
  tensors.clear();
  requested_outputs.clear();
  raw_contents.clear();
  dimensions.clear();
  tensor_parameters.clear();
  output_parameters.clear();
}

absl::Status InferRequestView::Parse(std::string_view message, const MessageLimits& limits) {
  return InferParser(kRequestFields, limits, parts_).Parse(message);
}

absl::Status InferResponseView::Parse(std::string_view message, const MessageLimits& limits) {
  return InferParser(kResponseFields, limits, parts_).Parse(message);
}

}  // namespace torchfleet::wire
