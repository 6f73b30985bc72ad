#include "gateway/protocol/rest/request_parts.h"

#include <fmt/format.h>

#include "gateway/protocol/rest/http_status.h"

namespace torchfleet::gateway::rest {
namespace {

// Room that is kept for the next call: that of usual requests.
constexpr size_t kKeptBytes = size_t{1} << 20;
constexpr size_t kKeptInputs = 16;

}  // namespace

absl::Status Invalid(std::string_view field, std::string text) {
  return WithBadField(absl::InvalidArgumentError(std::move(text)), field);
}

void InputParts::Clear() {
  name = {};
  datatype = {};
  shape.clear();
  parameters = {};
  raw.Clear();
  binary.reset();
}

void RequestParts::Clear() {
  texts.Clear();
  id = {};
  parameters = {};
  outputs.clear();
  pool.clear();
  input_count_ = 0;
  if (inputs_.size() > kKeptInputs) inputs_.resize(kKeptInputs);
  for (InputParts& input : inputs_) input.raw.Trim(kKeptBytes);
}

InputParts& RequestParts::AddInput() {
  if (input_count_ == inputs_.size()) inputs_.emplace_back();
  InputParts& input = inputs_[input_count_++];
  input.Clear();
  return input;
}

absl::StatusOr<std::span<const std::string_view>> RequestParts::Write(const RestCall& call,
                                                                      size_t max_bytes) {
  tensors_.clear();
  for (const InputParts& input : inputs()) {
    tensors_.push_back({.name = input.name,
                        .datatype = input.datatype,
                        .shape = input.shape,
                        .parameters = Resolved(input.parameters),
                        .data = input.binary.value_or(input.raw.view())});
  }
  requested_.clear();
  for (const OutputParts& output : outputs) {
    requested_.push_back({.name = output.name, .parameters = Resolved(output.parameters)});
  }
  auto pieces = writer_.Write(wire::RequestSource{.model_name = call.model,
                                                  .model_version = call.version,
                                                  .id = id,
                                                  .parameters = Resolved(parameters),
                                                  .inputs = tensors_,
                                                  .outputs = requested_});
  if (pieces.ok() && writer_.size() <= max_bytes) return pieces;
  return TooLargeError(fmt::format("the request takes {} bytes with its tensors; it may take {}",
                                   writer_.size(), max_bytes));
}

}  // namespace torchfleet::gateway::rest
