#include "cli/load/load_requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "base/status.h"
#include "cli/infer/request_inputs.h"
#include "cli/state/files.h"

namespace torchfleet::cli {
namespace {

using inference::ModelInferRequest;
using nlohmann::json;

// More than a message can hold.
constexpr int64_t kMostElements = 1 << 24;

absl::StatusOr<Tensor> MadeTensor(const InputSpec& spec, int64_t batch, std::mt19937_64& random) {
  std::vector<int64_t> shape = spec.shape;
  int64_t elements = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < 0) shape[i] = i == 0 ? std::max<int64_t>(batch, 1) : 1;
    if (__builtin_mul_overflow(elements, shape[i], &elements) || elements > kMostElements) {
      return absl::InvalidArgumentError(fmt::format(
          "input '{}' has over {} elements; give it with --input", spec.name, kMostElements));
    }
  }
  std::uniform_real_distribution<float> fractions(0, 1);
  json values = json::array();
  for (int64_t i = 0; i < elements; ++i) {
    switch (spec.type) {
      case wire::DataType::kBool:
        values.push_back(false);
        break;
      case wire::DataType::kBytes:
        values.push_back("");
        break;
      case wire::DataType::kFp16:
      case wire::DataType::kBf16:
      case wire::DataType::kFp32:
      case wire::DataType::kFp64:
        values.push_back(fractions(random));
        break;
      default:
        values.push_back(0);
    }
  }
  ASSIGN_OR_RETURN(Tensor tensor, TensorFromJson(values, spec.type));
  tensor.shape = std::move(shape);
  return tensor;
}

// How many of the bytes at `at` are `elements` elements.
size_t SizeOf(const Tensor& tensor, wire::DataType type, size_t at, int64_t elements) {
  if (type != wire::DataType::kBytes) {
    return static_cast<size_t>(elements) * wire::ElementSize(type);
  }
  size_t size = 0;
  for (; elements > 0; --elements) {
    uint32_t length = 0;  // little-endian, before each element
    for (size_t i = 0; i < 4; ++i) {
      length |= static_cast<uint32_t>(static_cast<uint8_t>(tensor.bytes[at + size + i])) << 8 * i;
    }
    size += 4 + length;
  }
  return size;
}

// Adds the tensor in pieces of `batch` rows, the last with what is left.
absl::Status AddPieces(const InputSpec& spec, Tensor tensor, int64_t batch,
                       std::vector<Tensor>* pieces) {
  RETURN_IF_ERROR(FitShape(spec, &tensor));
  if (batch > 0 && (spec.shape.empty() || spec.shape[0] >= 0)) {
    return absl::InvalidArgumentError(fmt::format(
        "--batch is for inputs whose first dimension varies; that of '{}' does not", spec.name));
  }
  if (batch == 0 || tensor.shape[0] <= batch) {
    pieces->push_back(std::move(tensor));
    return absl::OkStatus();
  }
  int64_t row = 1;
  for (size_t i = 1; i < tensor.shape.size(); ++i) row *= tensor.shape[i];
  size_t at = 0;
  for (int64_t left = tensor.shape[0]; left > 0; left -= batch) {
    Tensor piece{tensor.shape, ""};
    piece.shape[0] = std::min(left, batch);
    const size_t size = SizeOf(tensor, spec.type, at, row * piece.shape[0]);
    piece.bytes = tensor.bytes.substr(at, size);
    at += size;
    pieces->push_back(std::move(piece));
  }
  return absl::OkStatus();
}

// For each input of the model, the tensors that take turns.
absl::StatusOr<std::vector<std::vector<Tensor>>> Data(const std::vector<InputSpec>& specs,
                                                      const RequestOptions& options) {
  std::vector<std::vector<Tensor>> data(specs.size());
  std::mt19937_64 random(options.seed);
  for (size_t i = 0; options.inputs.empty() && i < specs.size(); ++i) {
    ASSIGN_OR_RETURN(Tensor made, MadeTensor(specs[i], options.batch, random));
    RETURN_IF_ERROR(AddPieces(specs[i], std::move(made), options.batch, &data[i]));
  }
  for (const std::string& argument : options.inputs) {
    ASSIGN_OR_RETURN(NamedTensor given, ReadInput(argument, specs));
    const auto place = static_cast<size_t>(given.spec - specs.data());
    RETURN_IF_ERROR(AddPieces(*given.spec, std::move(given.tensor), options.batch, &data[place]));
  }
  return data;
}

absl::StatusOr<ModelInferRequest> RequestOfLine(const std::vector<InputSpec>& specs,
                                                std::string_view line) {
  const json inputs = json::parse(line, nullptr, false);
  if (!inputs.is_object()) {
    return absl::InvalidArgumentError("expected a JSON object with the inputs by name");
  }
  ModelInferRequest request;
  for (const InputSpec& spec : specs) {
    const auto value = inputs.find(spec.name);
    if (value == inputs.end()) {
      return absl::InvalidArgumentError(fmt::format("input '{}' is not given", spec.name));
    }
    ASSIGN_OR_RETURN(Tensor tensor, TensorFromJson(*value, spec.type));
    RETURN_IF_ERROR(AddInput(spec, std::move(tensor), &request));
  }
  if (inputs.size() > specs.size()) {
    return absl::InvalidArgumentError(
        fmt::format("{} inputs are given; the model takes {}", inputs.size(), specs.size()));
  }
  return request;
}

// A request a line; empty lines do not count.
absl::StatusOr<std::vector<ModelInferRequest>> RequestsOfFile(const std::vector<InputSpec>& specs,
                                                              const RequestOptions& options) {
  if (!options.inputs.empty() || options.batch > 0) {
    return absl::InvalidArgumentError("--requests has whole requests; give no --input or --batch");
  }
  ASSIGN_OR_RETURN(const std::string text, ReadFile(options.file));
  std::vector<ModelInferRequest> requests;
  size_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = std::string_view(text).substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    auto request = RequestOfLine(specs, line);
    if (!request.ok()) {
      return absl::InvalidArgumentError(fmt::format("{}: line {}: {}", options.file, number,
                                                    std::string(request.status().message())));
    }
    requests.push_back(*std::move(request));
  }
  if (requests.empty()) {
    return absl::InvalidArgumentError(fmt::format("{} has no requests", options.file));
  }
  return requests;
}

// Each input's tensors side by side; one tensor alone is for all requests.
absl::StatusOr<std::vector<ModelInferRequest>> RequestsOfInputs(const std::vector<InputSpec>& specs,
                                                                const RequestOptions& options) {
  ASSIGN_OR_RETURN(const auto data, Data(specs, options));
  size_t count = 1;
  for (const auto& tensors : data) count = std::max(count, tensors.size());
  std::vector<ModelInferRequest> requests(count);
  for (size_t i = 0; i < specs.size(); ++i) {
    if (data[i].empty()) {
      return absl::InvalidArgumentError(fmt::format(
          "input '{}' is not given; give all inputs, or none to have them made", specs[i].name));
    }
    if (data[i].size() != 1 && data[i].size() != count) {
      return absl::InvalidArgumentError(
          fmt::format("input '{}' has data for {} requests, another input for {}; expected as "
                      "many, or one for all",
                      specs[i].name, data[i].size(), count));
    }
    for (size_t n = 0; n < count; ++n) {
      RETURN_IF_ERROR(AddInput(specs[i], data[i][data[i].size() == 1 ? 0 : n], &requests[n]));
    }
  }
  return requests;
}

}  // namespace

absl::StatusOr<std::vector<ModelInferRequest>> MakeRequests(const std::vector<InputSpec>& specs,
                                                            const RequestOptions& options) {
  auto requests =
      options.file.empty() ? RequestsOfInputs(specs, options) : RequestsOfFile(specs, options);
  RETURN_IF_ERROR(requests.status());
  for (ModelInferRequest& request : *requests) {
    request.set_model_name(options.model);
    request.set_model_version(options.version);
  }
  return requests;
}

absl::StatusOr<std::string> RequestAsJson(const ModelInferRequest& request) {
  nlohmann::ordered_json inputs = nlohmann::ordered_json::array();
  for (int i = 0; i < request.inputs_size(); ++i) {
    const auto& input = request.inputs(i);
    const Tensor tensor{{input.shape().begin(), input.shape().end()},
                        request.raw_input_contents(i)};
    ASSIGN_OR_RETURN(const json data, TensorToJson(tensor, *wire::ParseDataType(input.datatype())));
    inputs.push_back({{"name", input.name()},
                      {"datatype", input.datatype()},
                      {"shape", tensor.shape},
                      {"data", data}});
  }
  return nlohmann::ordered_json{{"inputs", inputs}}.dump(-1, ' ', false,
                                                         json::error_handler_t::replace);
}

}  // namespace torchfleet::cli
