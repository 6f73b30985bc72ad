#include "model-worker/load/warm_up.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <new>
#include <random>

#include "base/log.h"
#include "base/status.h"
#include "model-worker/execute/reshape.h"

namespace torchfleet::worker {
namespace {

using inference::ModelWarmup;

// More would be a mistake, or take all memory.
constexpr int64_t kMostBytes = int64_t{1} << 30;

absl::Status Wrong(const ModelWarmup& warmup, const std::string& what) {
  return absl::InvalidArgumentError(
      fmt::format("model_warmup '{}': {}", Clip(warmup.name()), what));
}

template <typename Number, typename Distribution>
std::string RandomNumbers(int64_t count, Distribution distribution) {
  // The same ones each time.
  std::mt19937_64 random(1);
  std::string bytes;
  bytes.reserve(static_cast<size_t>(count) * sizeof(Number));
  for (int64_t i = 0; i < count; ++i) {
    const auto number = static_cast<Number>(distribution(random));
    bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
  return bytes;
}

// Floats in [0, 1), other numbers 0 or 1, as any of them may be an index; no
// strings.
std::string RandomBytes(wire::DataType type, int64_t count) {
  using wire::DataType;
  const std::uniform_int_distribution<int> bit(0, 1);
  switch (type) {
    case DataType::kFp32:
      return RandomNumbers<float>(count, std::uniform_real_distribution<float>(0, 1));
    case DataType::kFp64:
      return RandomNumbers<double>(count, std::uniform_real_distribution<double>(0, 1));
    case DataType::kFp16:  // 0x3800 is 0.5
      return RandomNumbers<uint16_t>(count, std::uniform_int_distribution<int>(0, 0x3800));
    case DataType::kBf16:  // 0x3f00 is 0.5
      return RandomNumbers<uint16_t>(count, std::uniform_int_distribution<int>(0, 0x3f00));
    default:
      break;
  }
  switch (wire::ElementSize(type)) {
    case 1:
      return RandomNumbers<uint8_t>(count, bit);
    case 2:
      return RandomNumbers<uint16_t>(count, bit);
    case 4:
      return RandomNumbers<uint32_t>(count, bit);
    default:
      return RandomNumbers<uint64_t>(count, bit);
  }
}

absl::StatusOr<std::string> FileBytes(const ModelWarmup& warmup, const std::string& name,
                                      const std::filesystem::path& folder) {
  const std::filesystem::path relative(name);
  const bool inside =
      !relative.is_absolute() &&
      std::none_of(relative.begin(), relative.end(), [](const auto& part) { return part == ".."; });
  if (name.empty() || !inside) {
    return Wrong(warmup, fmt::format("input_data_file '{}' is not in warmup/", Clip(name)));
  }
  const std::filesystem::path file = folder / "warmup" / relative;
  std::error_code error;
  // Reading a folder throws.
  if (std::filesystem::is_regular_file(file, error)) {
    std::ifstream stream(file, std::ios::binary);
    std::string bytes(std::istreambuf_iterator<char>(stream), {});
    if (stream) return bytes;
  }
  return absl::FailedPreconditionError(fmt::format(
      "model_warmup '{}': the file warmup/{} cannot be read", Clip(warmup.name()), Clip(name)));
}

// Whether they are so many elements, each a length in four bytes and its data.
bool HoldsStrings(std::string_view bytes, int64_t count) {
  for (; count > 0; --count) {
    uint32_t length = 0;
    if (bytes.size() < sizeof(length)) return false;
    std::memcpy(&length, bytes.data(), sizeof(length));
    bytes.remove_prefix(sizeof(length));
    if (bytes.size() < length) return false;
    bytes.remove_prefix(length);
  }
  return bytes.empty();
}

absl::StatusOr<std::string> InputBytes(const ModelWarmup& warmup, const ModelWarmup::Input& input,
                                       const TensorSpec& tensor, int64_t count,
                                       const std::filesystem::path& folder) {
  if (input.input_data_type_case() == ModelWarmup::Input::kInputDataFile) {
    return FileBytes(warmup, input.input_data_file(), folder);
  }
  if (tensor.type == wire::DataType::kBytes) {
    // Empty strings.
    return std::string(static_cast<size_t>(count) * sizeof(uint32_t), '\0');
  }
  if (input.random_data()) return RandomBytes(tensor.type, count);
  return std::string(static_cast<size_t>(count) * wire::ElementSize(tensor.type), '\0');
}

// Where it says one.
bool HasType(const ModelWarmup::Input& input, wire::DataType type) {
  const std::string_view wanted =
      type == wire::DataType::kBytes ? "STRING" : wire::DataTypeName(type);
  return input.data_type() == inference::TYPE_INVALID ||
         inference::DataType_Name(input.data_type()) == fmt::format("TYPE_{}", wanted);
}

absl::Status AddInput(const ModelWarmup& warmup, const ModelWarmup::Input& input, int64_t rows,
                      const TensorSpec& tensor, const std::filesystem::path& folder,
                      WarmUpRun& run) {
  if (!HasType(input, tensor.type)) {
    return Wrong(warmup, fmt::format("input '{}' is {}; the model takes {}", Clip(tensor.name),
                                     inference::DataType_Name(input.data_type()),
                                     wire::DataTypeName(tensor.type)));
  }
  std::vector<int64_t> shape;
  if (rows > 0) shape.push_back(rows);
  shape.insert(shape.end(), input.dims().begin(), input.dims().end());
  bool fits = shape.size() == tensor.shape.size();
  for (size_t i = 0; fits && i < shape.size(); ++i) {
    fits = shape[i] >= 0 && (tensor.shape[i] < 0 || tensor.shape[i] == shape[i]);
  }
  int64_t count = 0;
  const auto size = static_cast<int64_t>(std::max<size_t>(wire::ElementSize(tensor.type), 4));
  if (!fits || !ElementCount(shape, &count) || count > kMostBytes / size) {
    return Wrong(warmup, fmt::format("input '{}' has shape {}; the model takes {}",
                                     Clip(tensor.name), ShapeText(shape), ShapeText(tensor.shape)));
  }
  ASSIGN_OR_RETURN(std::string bytes, InputBytes(warmup, input, tensor, count, folder));
  const size_t expected = static_cast<size_t>(count) * wire::ElementSize(tensor.type);
  if (tensor.type == wire::DataType::kBytes && !HoldsStrings(bytes, count)) {
    return absl::FailedPreconditionError(
        fmt::format("model_warmup '{}': input '{}' has other than the {} BYTES elements of shape "
                    "{} in its file",
                    Clip(warmup.name()), Clip(tensor.name), count, ShapeText(shape)));
  }
  if (tensor.type != wire::DataType::kBytes && bytes.size() != expected) {
    return absl::FailedPreconditionError(fmt::format(
        "model_warmup '{}': input '{}' has {} bytes in its file; shape {} takes {}",
        Clip(warmup.name()), Clip(tensor.name), bytes.size(), ShapeText(shape), expected));
  }
  if (tensor.inside) shape = Reshaped(tensor.shape, *tensor.inside, shape);
  run.bytes.push_back(std::move(bytes));
  run.inputs.push_back({.shape = std::move(shape), .pieces = {run.bytes.back()}});
  return absl::OkStatus();
}

absl::StatusOr<WarmUpRun> Run(const ModelWarmup& warmup, const ModelSpec& spec,
                              const std::filesystem::path& folder) {
  WarmUpRun run;
  run.name = warmup.name();
  run.count = static_cast<int>(std::clamp<uint32_t>(warmup.count(), 1, 1'000'000));
  int64_t rows = 0;
  if (spec.max_batch_size > 0) {
    rows = std::max<int64_t>(warmup.batch_size(), 1);
    if (rows > spec.max_batch_size) {
      return Wrong(
          warmup, fmt::format("batch_size is {}; max_batch_size is {}", rows, spec.max_batch_size));
    }
  }
  run.bytes.reserve(spec.inputs.size());
  for (const TensorSpec& tensor : spec.inputs) {
    const auto input = warmup.inputs().find(tensor.name);
    if (input != warmup.inputs().end()) {
      RETURN_IF_ERROR(AddInput(warmup, input->second, rows, tensor, folder, run));
    } else if (tensor.optional) {
      run.inputs.push_back({.absent = true});
    } else {
      return Wrong(warmup, fmt::format("input '{}' is missing", Clip(tensor.name)));
    }
  }
  for (const auto& [name, input] : warmup.inputs()) {
    const bool known = std::any_of(spec.inputs.begin(), spec.inputs.end(),
                                   [&](const TensorSpec& tensor) { return tensor.name == name; });
    if (!known) return Wrong(warmup, fmt::format("the model has no input '{}'", Clip(name)));
  }
  return run;
}

}  // namespace

absl::StatusOr<std::vector<WarmUpRun>> WarmUpRuns(const inference::ModelConfig& config,
                                                  const ModelSpec& spec,
                                                  const std::filesystem::path& folder) {
  std::vector<WarmUpRun> runs;
  for (const ModelWarmup& warmup : config.model_warmup()) {
    ASSIGN_OR_RETURN(WarmUpRun run, Run(warmup, spec, folder));
    runs.push_back(std::move(run));
  }
  return runs;
}

absl::Status WarmUp(Model& model, const WarmUpRun& run, const Clock& clock) {
  const auto failed = [&](const std::string& why) {
    return absl::FailedPreconditionError(
        fmt::format("model_warmup '{}' failed: {}", Clip(run.name), why));
  };
  try {
    for (int i = 0; i < run.count; ++i) {
      RunStages stages(clock);
      const auto outputs = model.Run(run.inputs, stages);
      if (!outputs.ok()) return failed(std::string(outputs.status().message()));
    }
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    LogError("the model failed on a warm-up", {{"request", run.name}, {"detail", error.what()}});
    return failed("the model failed on this input");
  } catch (...) {
    return failed("it threw what is no exception");
  }
  return absl::OkStatus();
}

}  // namespace torchfleet::worker
