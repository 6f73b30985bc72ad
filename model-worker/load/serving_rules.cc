#include "model-worker/load/serving_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "model-worker/execute/cpu_pinning.h"

namespace torchfleet::worker {
namespace {

using inference::ModelDynamicBatching;
using inference::ModelQueuePolicy;

absl::Status Wrong(const std::string& what) { return absl::InvalidArgumentError(what); }

const std::string* Parameter(const ModelSpec& spec, const char* name) {
  const auto found = spec.parameters.find(name);
  return found == spec.parameters.end() ? nullptr : &found->second;
}

LevelRules Level(const ModelQueuePolicy& policy) {
  LevelRules level;
  if (policy.timeout_action() == ModelQueuePolicy::DELAY) {
    level.overdue = LevelRules::Overdue::kDelay;
  }
  if (policy.default_timeout_microseconds() > 0) {
    // A century is for ever, and can be added to any moment.
    constexpr uint64_t kCentury = uint64_t{100} * 365 * 24 * 3600 * 1'000'000;
    level.timeout = absl::Microseconds(
        static_cast<int64_t>(std::min(policy.default_timeout_microseconds(), kCentury)));
  }
  level.own_timeouts = policy.allow_timeout_override();
  level.most = policy.max_queue_size();
  return level;
}

absl::Status ReadLine(const ModelDynamicBatching& batching, LineRules& line) {
  constexpr uint64_t kMostLevels = 1000;
  if (batching.priority_levels() > kMostLevels) {
    return Wrong(fmt::format("dynamic_batching.priority_levels is {}; at most {} are offered",
                             batching.priority_levels(), kMostLevels));
  }
  const auto levels = std::max<size_t>(batching.priority_levels(), 1);
  line.levels.assign(levels, Level(batching.default_queue_policy()));
  line.priorities = batching.priority_levels() > 0;
  line.in_order = batching.preserve_ordering();
  if (line.priorities) {
    const uint64_t own = batching.default_priority_level();
    if (own < 1 || own > levels) {
      return Wrong(fmt::format(
          "dynamic_batching.default_priority_level is {}; priority_levels allows 1 to {}", own,
          levels));
    }
    line.default_level = own - 1;
  }
  for (const auto& [priority, policy] : batching.priority_queue_policy()) {
    if (priority < 1 || priority > levels) {
      return Wrong(fmt::format(
          "dynamic_batching.priority_queue_policy is for {}; priority_levels allows 1 to {}",
          priority, levels));
    }
    line.levels[priority - 1] = Level(policy);
  }
  return absl::OkStatus();
}

absl::Status ReadBatching(const inference::ModelConfig& config, ModelSpec& spec) {
  const ModelDynamicBatching& batching = config.dynamic_batching();
  const std::string* const adaptive = Parameter(spec, "ADAPTIVE_BATCHING");
  const bool off = adaptive && *adaptive == "false";
  if (adaptive && !off && *adaptive != "true") {
    return Wrong(fmt::format("ADAPTIVE_BATCHING is '{}'; expected true or false", Clip(*adaptive)));
  }
  spec.batching.most = config.has_dynamic_batching() || !off ? spec.max_batch_size : 1;
  for (const int32_t size : batching.preferred_batch_size()) {
    if (size < 1 || size > spec.max_batch_size) {
      return Wrong(
          fmt::format("dynamic_batching.preferred_batch_size is {}; max_batch_size allows 1 to {}",
                      size, spec.max_batch_size));
    }
    spec.batching.preferred.push_back(size);
  }
  std::sort(spec.batching.preferred.begin(), spec.batching.preferred.end());
  if (batching.max_queue_delay_microseconds() > 0) {
    constexpr uint64_t kDay = uint64_t{24} * 3600 * 1'000'000;
    spec.batching.delay = absl::Microseconds(
        static_cast<int64_t>(std::min(batching.max_queue_delay_microseconds(), kDay)));
  } else if (off) {
    spec.batching.delay = absl::ZeroDuration();
  }
  return absl::OkStatus();
}

// "name:1, other:2" as pairs.
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> Pairs(const char* parameter,
                                                                       const std::string& text) {
  std::vector<std::pair<std::string, std::string>> pairs;
  const std::vector<std::string> parts = absl::StrSplit(text, ',');
  for (const std::string& part : parts) {
    const size_t colon = part.rfind(':');
    if (colon == std::string::npos) {
      return Wrong(
          fmt::format("{} has '{}'; expected <tensor>:<number>, …", parameter, Clip(part)));
    }
    std::string& name = pairs.emplace_back(part.substr(0, colon), part.substr(colon + 1)).first;
    absl::StripAsciiWhitespace(&name);
    absl::StripAsciiWhitespace(&pairs.back().second);
  }
  return pairs;
}

absl::StatusOr<size_t> IndexOf(const char* parameter, const std::vector<TensorSpec>& tensors,
                               const std::string& name) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].name == name) return i;
  }
  return Wrong(fmt::format("{} names '{}', which the model has not", parameter, Clip(name)));
}

absl::StatusOr<double> Number(const char* parameter, const std::string& text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return number;
  return Wrong(fmt::format("{} has '{}'; expected a number", parameter, Clip(text)));
}

// Which dimension of which tensor varies.
absl::Status ReadDimensions(const char* parameter, const ModelSpec& spec,
                            const std::vector<TensorSpec>& tensors,
                            std::vector<std::optional<size_t>>& dimensions) {
  dimensions.assign(tensors.size(), std::nullopt);
  const std::string* const text = Parameter(spec, parameter);
  if (!text) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto pairs, Pairs(parameter, *text));
  for (const auto& [name, value] : pairs) {
    ASSIGN_OR_RETURN(const size_t index, IndexOf(parameter, tensors, name));
    ASSIGN_OR_RETURN(const double dimension, Number(parameter, value));
    const TensorSpec& tensor = tensors[index];
    const bool whole = dimension >= 0 && dimension < 1000 && dimension == std::floor(dimension);
    const size_t at = whole ? static_cast<size_t>(dimension) : 0;
    if (at < 1 || at >= tensor.shape.size() || tensor.shape[at] >= 0 ||
        tensor.type == wire::DataType::kBytes || tensor.inside) {
      return Wrong(fmt::format(
          "{} has '{}:{}'; expected a dimension that varies (-1), counted from 1 as the batch is "
          "0, of numbers without a reshape; the shape is {}",
          parameter, Clip(name), Clip(value), ShapeText(tensor.shape)));
    }
    dimensions[index] = at;
  }
  return absl::OkStatus();
}

// Nothing for a number that is none of them. Floats have infinities, too.
template <typename Element>
std::optional<std::string> ElementBytes(double number) {
  using Limits = std::numeric_limits<Element>;
  if (Limits::is_integer && number != std::floor(number)) return std::nullopt;
  // The highest of 64 bits is none of a double: what is rounded up to is one too much.
  const auto highest = static_cast<double>(Limits::max());
  const bool fits = number >= static_cast<double>(Limits::lowest()) &&
                    (Limits::digits > 53 ? number < highest : number <= highest);
  if (!fits && !(Limits::has_infinity && !std::isfinite(number))) return std::nullopt;
  const auto element = static_cast<Element>(number);
  return std::string(reinterpret_cast<const char*>(&element), sizeof element);
}

std::optional<std::string> NumberBytes(wire::DataType type, double number) {
  switch (type) {
    case wire::DataType::kInt32:
      return ElementBytes<int32_t>(number);
    case wire::DataType::kInt64:
      return ElementBytes<int64_t>(number);
    case wire::DataType::kFp32:
      return ElementBytes<float>(number);
    case wire::DataType::kFp64:
      return ElementBytes<double>(number);
    default:
      return number == 0 ? std::optional(std::string(wire::ElementSize(type), '\0')) : std::nullopt;
  }
}

// Zero in every type, and the numbers of those types that token ids have.
absl::StatusOr<std::string> PaddingElement(const TensorSpec& tensor, double number) {
  if (auto bytes = NumberBytes(tensor.type, number)) return *std::move(bytes);
  return Wrong(
      fmt::format("PADDING_VALUES has {} for '{}', which is {}; expected 0, or a number that "
                  "INT32, INT64, FP32 or FP64 holds",
                  number, Clip(tensor.name), wire::DataTypeName(tensor.type)));
}

absl::Status ReadPadding(const ModelSpec& spec, LengthRules& lengths) {
  for (const TensorSpec& tensor : spec.inputs) {
    lengths.padding.emplace_back(wire::ElementSize(tensor.type), '\0');
  }
  if (const std::string* const text = Parameter(spec, "PADDING_VALUES")) {
    ASSIGN_OR_RETURN(const auto pairs, Pairs("PADDING_VALUES", *text));
    for (const auto& [name, value] : pairs) {
      ASSIGN_OR_RETURN(const size_t index, IndexOf("PADDING_VALUES", spec.inputs, name));
      ASSIGN_OR_RETURN(const double number, Number("PADDING_VALUES", value));
      ASSIGN_OR_RETURN(lengths.padding[index], PaddingElement(spec.inputs[index], number));
    }
  }
  if (const std::string* const text = Parameter(spec, "MAX_PADDING_PERCENT")) {
    ASSIGN_OR_RETURN(const double percent, Number("MAX_PADDING_PERCENT", *text));
    if (!(percent >= 0 && percent < 100)) {
      return Wrong(fmt::format("MAX_PADDING_PERCENT is {}; expected 0 to 99", percent));
    }
    lengths.most_padding = percent / 100;
  }
  return absl::OkStatus();
}

bool IsMadeType(wire::DataType type) {
  return type == wire::DataType::kInt64 || type == wire::DataType::kInt32 ||
         type == wire::DataType::kFp32;
}

absl::Status ReadMade(const ModelSpec& spec, LengthRules& lengths) {
  if (const std::string* const name = Parameter(spec, "MASK_INPUT")) {
    ASSIGN_OR_RETURN(const size_t index, IndexOf("MASK_INPUT", spec.inputs, *name));
    const TensorSpec& tensor = spec.inputs[index];
    const bool fits = IsMadeType(tensor.type) || tensor.type == wire::DataType::kBool;
    if (!fits || tensor.shape.size() != 2 || tensor.shape[1] >= 0) {
      return Wrong(
          fmt::format("MASK_INPUT is '{}', {} {}; expected INT64, INT32, FP32 or BOOL [-1,-1]",
                      Clip(*name), wire::DataTypeName(tensor.type), ShapeText(tensor.shape)));
    }
    lengths.mask = index;
    lengths.inputs[index] = 1;
  }
  if (const std::string* const name = Parameter(spec, "LENGTHS_INPUT")) {
    ASSIGN_OR_RETURN(const size_t index, IndexOf("LENGTHS_INPUT", spec.inputs, *name));
    const TensorSpec& tensor = spec.inputs[index];
    const bool column = tensor.shape.size() == 2 && tensor.shape[1] == 1;
    if (!IsMadeType(tensor.type) || (tensor.shape.size() != 1 && !column)) {
      return Wrong(
          fmt::format("LENGTHS_INPUT is '{}', {} {}; expected INT64, INT32 or FP32 [-1] or [-1,1]",
                      Clip(*name), wire::DataTypeName(tensor.type), ShapeText(tensor.shape)));
    }
    lengths.lengths = index;
  }
  return absl::OkStatus();
}

absl::Status ReadLengths(ModelSpec& spec) {
  if (!Parameter(spec, "PADDED_INPUTS")) {
    for (const char* other : {"PADDED_OUTPUTS", "PADDING_VALUES", "MASK_INPUT", "LENGTHS_INPUT",
                              "MAX_PADDING_PERCENT"}) {
      if (Parameter(spec, other)) {
        return Wrong(fmt::format("{} is there without PADDED_INPUTS", other));
      }
    }
    return absl::OkStatus();
  }
  if (spec.max_batch_size == 0) {
    return Wrong("PADDED_INPUTS is there, but max_batch_size is 0; expected a model with a batch");
  }
  LengthRules lengths;
  RETURN_IF_ERROR(ReadDimensions("PADDED_INPUTS", spec, spec.inputs, lengths.inputs));
  RETURN_IF_ERROR(ReadDimensions("PADDED_OUTPUTS", spec, spec.outputs, lengths.outputs));
  RETURN_IF_ERROR(ReadPadding(spec, lengths));
  RETURN_IF_ERROR(ReadMade(spec, lengths));
  spec.lengths = std::move(lengths);
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadServingRules(const inference::ModelConfig& config, ModelSpec& spec) {
  RETURN_IF_ERROR(ReadLine(config.dynamic_batching(), spec.line));
  RETURN_IF_ERROR(ReadBatching(config, spec));
  RETURN_IF_ERROR(ReadLengths(spec));
  if (const std::string* const cpus = Parameter(spec, "CPUS")) {
    auto parsed = ParseCpus(*cpus);
    if (!parsed.ok()) return Wrong("CPUS: " + std::string(parsed.status().message()));
    spec.cpus = *std::move(parsed);
  }
  return absl::OkStatus();
}

}  // namespace torchfleet::worker
