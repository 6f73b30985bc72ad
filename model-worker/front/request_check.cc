#include "model-worker/front/request_check.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "base/status.h"

namespace torchfleet::worker {
namespace {

// How long an input without elements may be, in the dimension that is padded.
constexpr int64_t kLongestOfNothing = 1024;

std::string InputField(std::string_view name) { return fmt::format("inputs[{}]", Clip(name)); }

absl::Status Wrong(const std::string& field, const std::string& message) {
  return WithBadField(absl::InvalidArgumentError(message), field);
}

template <typename Specs>
std::string Names(const Specs& specs) {
  std::string names;
  for (const TensorSpec& spec : specs) {
    if (!names.empty()) names += ", ";
    if (names.size() > 200) return names + "…";
    names += "'" + Clip(spec.name) + "'";
  }
  return names;
}

// Index of a name in `specs`, or their size.
size_t Find(const std::vector<TensorSpec>& specs, std::string_view name) {
  size_t i = 0;
  while (i < specs.size() && specs[i].name != name) ++i;
  return i;
}

absl::Status CheckShape(const ModelSpec& model, const TensorSpec& spec, const ClaimedInput& input) {
  const auto wrong = [&](std::string_view why) {
    return Wrong(InputField(input.name) + ".shape",
                 fmt::format("input '{}' has shape {}; the model takes {}: {}", Clip(input.name),
                             ShapeText(input.shape), ShapeText(spec.shape), why));
  };
  for (const int64_t dimension : input.shape) {
    if (dimension < 0) return wrong("no dimension of a request is negative");
  }
  int64_t count = 0;
  if (!ElementCount(input.shape, &count))
    return wrong("the sizes multiply to more than int64 holds");
  if (input.shape.size() != spec.shape.size()) {
    return wrong(fmt::format("{} dimensions came", input.shape.size()));
  }
  for (size_t i = 0; i < input.shape.size(); ++i) {
    if (spec.shape[i] >= 0 && input.shape[i] != spec.shape[i]) {
      return wrong(fmt::format("dimension {} is fixed", i));
    }
  }
  if (model.max_batch_size > 0 && input.shape[0] > model.max_batch_size) {
    return wrong(fmt::format("the batch is at most {}", model.max_batch_size));
  }
  return absl::OkStatus();
}

// Each element is a length in four little-endian bytes and then its data.
absl::Status CheckBytesElements(const ClaimedInput& input, int64_t count) {
  const auto wrong = [&](const std::string& what) { return Wrong(InputField(input.name), what); };
  std::string_view rest = input.bytes;
  for (int64_t i = 0; i < count; ++i) {
    uint32_t length = 0;
    if (rest.size() < sizeof(length)) {
      return wrong(fmt::format("input '{}' holds {} BYTES elements; its shape {} has {}",
                               Clip(input.name), i, ShapeText(input.shape), count));
    }
    std::memcpy(&length, rest.data(), sizeof(length));
    rest.remove_prefix(sizeof(length));
    if (length > rest.size()) {
      return wrong(fmt::format("input '{}': BYTES element {} says {} bytes, {} are left",
                               Clip(input.name), i, length, rest.size()));
    }
    rest.remove_prefix(length);
  }
  if (!rest.empty()) {
    return wrong(fmt::format("input '{}': {} bytes are left after the {} elements of shape {}",
                             Clip(input.name), rest.size(), count, ShapeText(input.shape)));
  }
  return absl::OkStatus();
}

absl::Status CheckBytes(const TensorSpec& spec, const ClaimedInput& input) {
  int64_t count = 0;
  ElementCount(input.shape, &count);
  if (spec.type == wire::DataType::kBytes) return CheckBytesElements(input, count);
  int64_t expected = 0;
  const bool overflow =
      __builtin_mul_overflow(count, static_cast<int64_t>(wire::ElementSize(spec.type)), &expected);
  if (!overflow && static_cast<uint64_t>(expected) == input.bytes.size()) return absl::OkStatus();
  return Wrong(
      InputField(input.name),
      fmt::format("input '{}' has {} bytes; shape {} of {} takes {}", Clip(input.name),
                  input.bytes.size(), ShapeText(input.shape), wire::DataTypeName(spec.type),
                  overflow ? "more than int64 holds" : std::to_string(expected)));
}

absl::Status CheckInput(const ModelSpec& model, const TensorSpec& spec, const ClaimedInput& input) {
  if (input.datatype != wire::DataTypeName(spec.type)) {
    return Wrong(InputField(input.name) + ".datatype",
                 fmt::format("input '{}' is {}; the model takes {}", Clip(input.name),
                             Clip(input.datatype), wire::DataTypeName(spec.type)));
  }
  RETURN_IF_ERROR(CheckShape(model, spec, input));
  return CheckBytes(spec, input);
}

absl::StatusOr<std::vector<size_t>> RequestedOutputs(const ModelSpec& spec,
                                                     const std::vector<std::string_view>& names) {
  std::vector<size_t> outputs;
  std::vector<bool> wanted(spec.outputs.size());
  for (const std::string_view name : names) {
    const size_t index = Find(spec.outputs, name);
    const std::string field = fmt::format("outputs[{}]", Clip(name));
    if (index == spec.outputs.size()) {
      return Wrong(field, fmt::format("output '{}' is unknown; the model gives {}", Clip(name),
                                      Names(spec.outputs)));
    }
    if (wanted[index]) {
      return Wrong(field,
                   fmt::format("output '{}' is requested twice; once is enough", Clip(name)));
    }
    wanted[index] = true;
    outputs.push_back(index);
  }
  if (names.empty()) {
    for (size_t i = 0; i < spec.outputs.size(); ++i) outputs.push_back(i);
  }
  return outputs;
}

absl::Status CheckPresence(const ModelSpec& spec, CheckedRequest& request) {
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    if (!request.inputs[i].absent) continue;
    if (!spec.inputs[i].optional && !spec.lengths.made(i)) {
      return Wrong("inputs", fmt::format("input '{}' is missing; the model takes {}",
                                         Clip(spec.inputs[i].name), Names(spec.inputs)));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckBatch(const ModelSpec& spec, CheckedRequest& request) {
  if (spec.max_batch_size == 0) return absl::OkStatus();
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    if (request.inputs[i].absent) continue;
    const int64_t rows = request.inputs[i].shape[0];
    if (!request.batch) request.batch = rows;
    if (*request.batch != rows) {
      return Wrong(InputField(spec.inputs[i].name) + ".shape",
                   fmt::format("input '{}' has a batch of {}, another input one of {}; all inputs "
                               "of a request have the same",
                               Clip(spec.inputs[i].name), rows, *request.batch));
    }
  }
  return absl::OkStatus();
}

// Along the dimension in which requests differ, the inputs of one are alike.
absl::Status CheckLength(const ModelSpec& spec, CheckedRequest& request) {
  if (!spec.lengths.any()) return absl::OkStatus();
  bool first = true;
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    const auto dimension = spec.lengths.inputs[i];
    if (request.inputs[i].absent || !dimension) continue;
    const int64_t length = request.inputs[i].shape[*dimension];
    // Bytes stand behind the length of any other, and so bound what is made of it.
    if (request.inputs[i].bytes.empty() && length > kLongestOfNothing) {
      return Wrong(
          InputField(spec.inputs[i].name) + ".shape",
          fmt::format("input '{}' has shape {}: it is {} long but has no elements",
                      Clip(spec.inputs[i].name), ShapeText(request.inputs[i].shape), length));
    }
    if (std::exchange(first, false)) request.length = length;
    if (request.length == length) continue;
    return Wrong(InputField(spec.inputs[i].name) + ".shape",
                 fmt::format("input '{}' is {} long in dimension {}, another input {}; those of a "
                             "request are alike",
                             Clip(spec.inputs[i].name), length, *dimension, request.length));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckCounts(const ModelSpec& spec, size_t inputs, size_t requested_outputs) {
  if (inputs > spec.inputs.size()) {
    return Wrong("inputs", fmt::format("{} inputs came; the model takes {}: {}", inputs,
                                       spec.inputs.size(), Names(spec.inputs)));
  }
  if (requested_outputs > spec.outputs.size()) {
    return Wrong("outputs",
                 fmt::format("{} outputs are requested; the model gives {}: {}", requested_outputs,
                             spec.outputs.size(), Names(spec.outputs)));
  }
  return absl::OkStatus();
}

absl::StatusOr<CheckedRequest> CheckRequest(
    const ModelSpec& spec, const std::vector<ClaimedInput>& inputs,
    const std::vector<std::string_view>& requested_outputs) {
  CheckedRequest request;
  request.inputs.resize(spec.inputs.size());
  for (InputTensor& input : request.inputs) input.absent = true;
  for (const ClaimedInput& input : inputs) {
    const size_t index = Find(spec.inputs, input.name);
    if (index == spec.inputs.size()) {
      return Wrong(InputField(input.name), fmt::format("input '{}' is unknown; the model takes {}",
                                                       Clip(input.name), Names(spec.inputs)));
    }
    if (!request.inputs[index].absent) {
      return Wrong(InputField(input.name),
                   fmt::format("input '{}' came twice; once is expected", Clip(input.name)));
    }
    RETURN_IF_ERROR(CheckInput(spec, spec.inputs[index], input));
    request.inputs[index] = {input.shape, input.bytes, false};
  }
  RETURN_IF_ERROR(CheckPresence(spec, request));
  RETURN_IF_ERROR(CheckBatch(spec, request));
  RETURN_IF_ERROR(CheckLength(spec, request));
  ASSIGN_OR_RETURN(request.outputs, RequestedOutputs(spec, requested_outputs));
  return request;
}

}  // namespace torchfleet::worker
