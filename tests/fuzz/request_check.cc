#include "tests/fuzz/request_check.h"

#include <cstring>
#include <set>
#include <vector>

#include "model-worker/front/codec.h"
#include "model-worker/front/request_check.h"
#include "wire/infer_views.h"
#include "wire/infer_writer.h"

namespace torchfleet::worker {
namespace {

// A model that takes what the request says it brings, at most `most_rows` of it.
ModelSpec SpecFor(const wire::InferRequestView& request, int64_t most_rows) {
  ModelSpec spec;
  spec.name = "m";
  spec.max_batch_size = most_rows;
  for (const wire::TensorView& input : request.inputs()) {
    TensorSpec tensor;
    tensor.name = input.name;
    tensor.type = wire::ParseDataType(input.datatype).value_or(wire::DataType::kFp32);
    tensor.shape.assign(input.shape.begin(), input.shape.end());
    // A model with a batch has its dimension everywhere.
    if (tensor.shape.empty() && most_rows > 0) tensor.shape.push_back(-1);
    if (!tensor.shape.empty()) tensor.shape[0] = -1;
    spec.inputs.push_back(std::move(tensor));
  }
  spec.inputs.push_back({.name = "another", .shape = {-1}, .optional = true});
  for (const char* name : {"y", "z"}) spec.outputs.push_back({.name = name, .shape = {-1}});
  return spec;
}

struct Verdict {
  absl::Status status;
  DecodedRequest decoded;
  CheckedRequest checked;
};

void Check(const ModelSpec& spec, const wire::InferRequestView& request, Verdict& verdict) {
  verdict.status = CheckCounts(spec, request.inputs().size(), request.outputs().size());
  if (verdict.status.ok()) verdict.status = DecodeRequest(request, verdict.decoded);
  if (!verdict.status.ok()) return;
  auto checked = CheckRequest(spec, verdict.decoded.inputs, verdict.decoded.requested_outputs);
  verdict.status = checked.status();
  if (checked.ok()) verdict.checked = *std::move(checked);
}

// Bytes that so many elements of BYTES take; nothing when they are not there.
bool FitsElements(std::string_view bytes, int64_t count) {
  for (; count > 0; --count) {
    uint32_t length;
    if (bytes.size() < sizeof length) return false;
    std::memcpy(&length, bytes.data(), sizeof length);
    bytes.remove_prefix(sizeof length);
    if (length > bytes.size()) return false;
    bytes.remove_prefix(length);
  }
  return bytes.empty();
}

std::string InputFault(const TensorSpec& spec, const InputTensor& input) {
  if (input.absent) return spec.optional ? "" : "an input is missing";
  if (input.shape.size() != spec.shape.size()) return "another rank";
  int64_t count = 0;
  for (size_t i = 0; i < input.shape.size(); ++i) {
    if (input.shape[i] < 0) return "a dimension is negative";
    if (spec.shape[i] >= 0 && spec.shape[i] != input.shape[i]) return "another dimension";
  }
  if (!ElementCount(input.shape, &count)) return "a shape has no size";
  if (spec.type == wire::DataType::kBytes) {
    return FitsElements(input.bytes, count) ? "" : "BYTES that do not fit their shape";
  }
  const size_t size = static_cast<size_t>(count) * wire::ElementSize(spec.type);
  return size == input.bytes.size() ? "" : "bytes that do not fit their shape";
}

std::string CheckedFault(const ModelSpec& spec, const CheckedRequest& checked) {
  if (checked.inputs.size() != spec.inputs.size()) return "inputs were lost";
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    const InputTensor& input = checked.inputs[i];
    if (std::string fault = InputFault(spec.inputs[i], input); !fault.empty()) return fault;
    if (spec.max_batch_size == 0 || input.absent) continue;
    if (input.shape[0] > spec.max_batch_size) return "the batch is over the limit";
    if (checked.batch != input.shape[0]) return "batches differ";
  }
  const std::set<size_t> outputs(checked.outputs.begin(), checked.outputs.end());
  if (outputs.size() != checked.outputs.size() || outputs.empty()) return "outputs come twice";
  return *outputs.rbegin() < spec.outputs.size() ? "" : "an output that is none";
}

// The request again, its tensors raw.
std::string RawFault(const ModelSpec& spec, const wire::InferRequestView& request,
                     const Verdict& typed) {
  std::vector<wire::TensorSource> inputs;
  for (const ClaimedInput& input : typed.decoded.inputs) {
    inputs.push_back({.name = input.name,
                      .datatype = input.datatype,
                      .shape = input.shape,
                      .parameters = {},
                      .data = input.bytes});
  }
  wire::InferWriter writer;
  const auto pieces = writer.Write(wire::RequestSource{.model_name = "m",
                                                       .model_version = "",
                                                       .id = "",
                                                       .parameters = {},
                                                       .inputs = inputs,
                                                       .outputs = request.outputs()});
  if (!pieces.ok()) return "a checked request cannot be written";
  std::string message;
  for (const std::string_view piece : *pieces) message += piece;
  wire::InferRequestView again;
  if (!again.Parse(message).ok()) return "what was written cannot be read";
  Verdict raw;
  Check(spec, again, raw);
  if (!raw.status.ok()) return "raw it is refused: " + std::string(raw.status.message());
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    if (raw.checked.inputs[i].bytes != typed.checked.inputs[i].bytes) return "raw it is another";
  }
  return "";
}

}  // namespace

std::string RequestFault(std::string_view message) {
  wire::InferRequestView request;
  if (!request.Parse(message).ok()) return "";
  for (const int64_t most_rows : {0, 4}) {
    const ModelSpec spec = SpecFor(request, most_rows);
    Verdict verdict;
    Check(spec, request, verdict);
    if (!verdict.status.ok()) {
      if (!absl::IsInvalidArgument(verdict.status)) return "an error that is not the caller's";
      if (verdict.status.message().size() > 1024) return "an error is too long";
      continue;
    }
    if (std::string fault = CheckedFault(spec, verdict.checked); !fault.empty()) return fault;
    if (std::string fault = RawFault(spec, request, verdict); !fault.empty()) return fault;
  }
  return "";
}

}  // namespace torchfleet::worker
