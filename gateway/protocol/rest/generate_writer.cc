// The answers of generate, and the events of generate_stream.

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/status.h"
#include "gateway/protocol/rest/answer_writer.h"
#include "gateway/protocol/rest/generate_names.h"
#include "gateway/protocol/rest/tensor_writer.h"

namespace torchfleet::gateway::rest {

absl::Status AnswerWriter::WriteEvent(const AnswerForm& form) {
  // The last of a stream may say nothing but that it is the last.
  if (view_.outputs().empty()) return absl::OkStatus();
  AppendText("data: ", json_);
  RETURN_IF_ERROR(WriteGenerated(form, kEventDetails));
  AppendText("\n\n", json_);
  return absl::OkStatus();
}

absl::Status AnswerWriter::WriteAnswer(const AnswerForm& form) {
  return WriteGenerated(form, kAnswerDetails);
}

absl::Status AnswerWriter::WriteGenerated(const AnswerForm& form,
                                          std::span<const DetailOutput> details) {
  WriteHead();
  AppendText(",\"text_output\":", json_);
  const auto text = IndexOf(kTextOutput);
  if (!text) {
    return absl::InternalError(fmt::format("the worker's answer has no output '{}'", kTextOutput));
  }
  RETURN_IF_ERROR(WriteGeneratedValue(*text, /*list=*/false));
  if (form.details) RETURN_IF_ERROR(WriteDetails(details));
  AppendText("}", json_);
  return absl::OkStatus();
}

absl::Status AnswerWriter::WriteDetails(std::span<const DetailOutput> details) {
  AppendText(",\"details\":{", json_);
  bool first = true, in_token = false;
  for (const DetailOutput& detail : details) {
    const auto index = IndexOf(detail.output);
    if (!index) continue;
    if (!first) AppendText(",", json_);
    if (detail.of_token && !std::exchange(in_token, true)) AppendText("\"token\":{", json_);
    AppendString(detail.member, json_);
    AppendText(":", json_);
    RETURN_IF_ERROR(WriteGeneratedValue(*index, detail.list));
    first = false;
  }
  AppendText(in_token ? "}}" : "}", json_);
  return absl::OkStatus();
}

absl::Status AnswerWriter::WriteGeneratedValue(size_t index, bool list) {
  const wire::TensorView& output = view_.outputs()[index];
  ASSIGN_OR_RETURN(TensorWriter tensor, TensorWriter::Open(output.name, output.datatype,
                                                           output.shape, contents_[index]));
  if (list) return tensor.Append(std::array{tensor.count()}, json_);
  if (tensor.count() == 1) return tensor.Append({}, json_);
  return absl::InternalError(fmt::format("the model's output '{}' has {} elements; expected one",
                                         Clip(output.name), tensor.count()));
}

std::optional<size_t> AnswerWriter::IndexOf(std::string_view output) const {
  const auto outputs = view_.outputs();
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].name == output) return i;
  }
  return std::nullopt;
}

}  // namespace torchfleet::gateway::rest
