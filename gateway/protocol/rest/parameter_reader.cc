#include "gateway/protocol/rest/parameter_reader.h"

#include <fmt/format.h>

#include <limits>

#include "gateway/protocol/rest/json_number.h"

namespace torchfleet::gateway::rest {
namespace {

absl::StatusOr<bool> BoolOf(const wire::Parameter& parameter) {
  if (const bool* const value = std::get_if<bool>(&parameter.value)) return *value;
  const auto* const number = std::get_if<int64_t>(&parameter.value);
  if (number != nullptr && (*number == 0 || *number == 1)) return *number == 1;
  return Invalid("parameters",
                 fmt::format("the parameter {} is neither true nor false", parameter.key));
}

absl::StatusOr<int64_t> SizeOf(const wire::Parameter& parameter) {
  const auto* const size = std::get_if<int64_t>(&parameter.value);
  if (size != nullptr && *size >= 0) return *size;
  return Invalid("parameters",
                 fmt::format("the parameter {} is no number of bytes", parameter.key));
}

}  // namespace

absl::StatusOr<ReservedParameters> ParameterReader::Read(std::string_view where,
                                                         ParameterRange& range) {
  ReservedParameters reserved;
  range.first = parts_.pool.size();
  RETURN_IF_ERROR(cursor_.Object(
      parts_.texts, [&](std::string_view key) { return ReadOne(where, key, range, reserved); }));
  return reserved;
}

absl::Status ParameterReader::ReadOne(std::string_view where, std::string_view key,
                                      ParameterRange& range, ReservedParameters& reserved) {
  if (left_ == 0) {
    return Invalid(where, fmt::format("there are over {} parameters in {}",
                                      wire::MessageLimits().parameters, where));
  }
  --left_;
  const auto earlier = std::span<const wire::Parameter>(parts_.pool).subspan(range.first);
  wire::Parameter parameter = {.key = key, .value = {}};
  ASSIGN_OR_RETURN(parameter.value, ReadValue(key));
  bool twice = wire::FindParameter(earlier, key) != nullptr;
  if (key == "binary_data") {
    twice = reserved.binary_data.has_value();
    ASSIGN_OR_RETURN(reserved.binary_data, BoolOf(parameter));
  } else if (key == "binary_data_output") {
    twice = reserved.binary_data_output.has_value();
    ASSIGN_OR_RETURN(reserved.binary_data_output, BoolOf(parameter));
  } else if (key == "binary_data_size") {
    twice = reserved.binary_data_size.has_value();
    ASSIGN_OR_RETURN(reserved.binary_data_size, SizeOf(parameter));
  } else {
    parts_.pool.push_back(parameter);
    ++range.count;
  }
  if (!twice) return absl::OkStatus();
  return Invalid(where, fmt::format("the parameter '{}' came twice in {}", Clip(key), where));
}

absl::StatusOr<wire::ParameterValue> ParameterReader::ReadValue(std::string_view key) {
  if (cursor_.Peek() == '"') {
    ASSIGN_OR_RETURN(const std::string_view text, cursor_.String(parts_.texts));
    return text;
  }
  if (cursor_.ConsumeWord("true")) return true;
  if (cursor_.ConsumeWord("false")) return false;
  return ReadNumber(key);
}

absl::StatusOr<wire::ParameterValue> ParameterReader::ReadNumber(std::string_view key) {
  Decimal decimal;
  const char* const after = ScanNumber(cursor_.at(), cursor_.end(), decimal);
  if (after == nullptr) {
    return cursor_.Unexpected(
        fmt::format("text, number, true or false as parameter '{}'", Clip(key, 32)));
  }
  cursor_.MoveTo(after);
  // A number with a point or an exponent is a double, also when it is whole.
  if (decimal.text.find_first_of(".eE") == decimal.text.npos) {
    constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
    uint64_t whole;
    const bool is_whole = ToWhole(decimal, whole);
    if (is_whole && whole <= kMost + (decimal.negative ? 1 : 0)) {
      return static_cast<int64_t>(decimal.negative ? 0 - whole : whole);
    }
    if (is_whole && !decimal.negative) return whole;
  }
  if (double number; ToDouble(decimal, number)) return number;
  return Invalid("parameters", fmt::format("the parameter '{}' is {}; no 64-bit number holds that",
                                           Clip(key), Clip(decimal.text, 40)));
}

}  // namespace torchfleet::gateway::rest
