#include "cli/infer/answer_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/status.h"
#include "cli/infer/tensor_text.h"
#include "nlohmann/json.hpp"

namespace torchfleet::cli {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

absl::StatusOr<json> Data(const inference::ModelInferResponse& response, int i) {
  const auto& output = response.outputs(i);
  const auto type = wire::ParseDataType(output.datatype());
  if (!type || i >= response.raw_output_contents_size()) {
    return absl::InternalError(
        fmt::format("the answer's output '{}' cannot be read", Clip(output.name())));
  }
  const Tensor tensor{{output.shape().begin(), output.shape().end()},
                      response.raw_output_contents(i)};
  return TensorToJson(tensor, *type);
}

std::string Value(const json& value) {
  if (value.is_number_float()) return fmt::format("{:.4g}", value.get<double>());
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

// Numbers of 0 to 1 that sum to 1.
bool IsDistribution(const json& row) {
  if (!row.is_array() || row.size() < 2) return false;
  double sum = 0;
  for (const json& value : row) {
    if (!value.is_number_float() || value < 0.0 || value > 1.0) return false;
    sum += value.get<double>();
  }
  return std::fabs(sum - 1) < 1e-3;
}

std::string Row(const json& row) {
  constexpr size_t kShown = 12;
  if (!row.is_array()) return Value(row);
  std::string text;
  for (size_t i = 0; i < row.size() && i < kShown; ++i) {
    text += (i > 0 ? "  " : "") + (row[i].is_array() ? Row(row[i]) : Value(row[i]));
  }
  if (row.size() > kShown) text += fmt::format("  … {} more", row.size() - kShown);
  if (IsDistribution(row)) {
    const auto best = std::max_element(row.begin(), row.end());
    text = fmt::format("class {} ({:.2f} %)   {}", best - row.begin(), 100 * best->get<double>(),
                       text);
  }
  return text;
}

}  // namespace

absl::StatusOr<std::string> AnswerAsJson(const inference::ModelInferResponse& response) {
  ordered_json outputs = ordered_json::array();
  for (int i = 0; i < response.outputs_size(); ++i) {
    const auto& output = response.outputs(i);
    ASSIGN_OR_RETURN(const json data, Data(response, i));
    outputs.push_back(
        {{"name", output.name()},
         {"datatype", output.datatype()},
         {"shape", std::vector<int64_t>(output.shape().begin(), output.shape().end())},
         {"data", data}});
  }
  const ordered_json answer = {{"model_name", response.model_name()},
                               {"model_version", response.model_version()},
                               {"outputs", outputs}};
  return answer.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

absl::StatusOr<std::string> AnswerAsTable(const inference::ModelInferResponse& response) {
  std::string text =
      fmt::format("{} version {}\n", response.model_name(), response.model_version());
  for (int i = 0; i < response.outputs_size(); ++i) {
    const auto& output = response.outputs(i);
    ASSIGN_OR_RETURN(const json data, Data(response, i));
    text += fmt::format("{}  {} [{}]\n", output.name(), output.datatype(),
                        fmt::join(output.shape(), ","));
    if (!data.is_array()) {
      text += "  " + Value(data) + "\n";
      continue;
    }
    const bool rows = !data.empty() && data[0].is_array();
    if (!rows) text += "  " + Row(data) + "\n";
    for (size_t row = 0; rows && row < data.size(); ++row) {
      text += fmt::format("  {:>3}  {}\n", row, Row(data[row]));
    }
  }
  return text;
}

}  // namespace torchfleet::cli
