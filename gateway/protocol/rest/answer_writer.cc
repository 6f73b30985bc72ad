#include "gateway/protocol/rest/answer_writer.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "base/status.h"
#include "gateway/protocol/rest/tensor_writer.h"
#include "wire/tensor_contents.h"

namespace torchfleet::gateway::rest {
namespace {

// Room that is kept for the next answer.
constexpr size_t kKeptBytes = size_t{1} << 20;

// TensorFlow Serving's rule for outputs that are no text.
bool IsBase64(std::string_view output) { return output.ends_with("_bytes"); }

absl::StatusOr<TensorWriter> Open(const wire::TensorView& output, std::string_view raw,
                                  bool base64) {
  return TensorWriter::Open(output.name, output.datatype, output.shape, raw, base64);
}

void AppendMember(std::string_view name, std::string_view text, ByteBuffer& json) {
  AppendString(name, json);
  AppendText(":", json);
  AppendString(text, json);
}

}  // namespace

absl::StatusOr<RestAnswer> AnswerWriter::Write(std::string_view response, const AnswerForm& form) {
  json_.Trim(kKeptBytes);
  json_.Clear();
  pieces_.assign(1, {});
  if (const absl::Status parsed = view_.Parse(response); !parsed.ok()) {
    return absl::InternalError(
        fmt::format("the worker's answer cannot be read: {}", std::string(parsed.message())));
  }
  RETURN_IF_ERROR(FindContents());
  switch (form.kind) {
    case AnswerForm::Kind::kInfer:
      RETURN_IF_ERROR(WriteInfer(form));
      break;
    case AnswerForm::Kind::kPredictions:
      RETURN_IF_ERROR(WriteRows());
      break;
    case AnswerForm::Kind::kOutputs:
      RETURN_IF_ERROR(WriteColumns());
      break;
    case AnswerForm::Kind::kPlain:
      RETURN_IF_ERROR(WritePlain(form));
      break;
    case AnswerForm::Kind::kGenerate:
      RETURN_IF_ERROR(WriteAnswer(form));
      break;
    case AnswerForm::Kind::kEvent:
      RETURN_IF_ERROR(WriteEvent(form));
      break;
  }
  pieces_[0] = json_.view();
  RestAnswer answer = {.pieces = pieces_,
                       .size = 0,
                       .content_type = form.kind == AnswerForm::Kind::kEvent ? "text/event-stream"
                                                                             : "application/json",
                       .inference_header_length = {}};
  for (const std::string_view piece : pieces_) answer.size += piece.size();
  if (pieces_.size() > 1) {
    answer.content_type = "application/octet-stream";
    answer.inference_header_length = json_.size();
  }
  return answer;
}

absl::Status AnswerWriter::FindContents() {
  const auto raw = view_.raw_output_contents();
  const auto outputs = view_.outputs();
  contents_.assign(raw.begin(), raw.end());
  if (raw.size() == outputs.size()) return absl::OkStatus();
  if (!raw.empty()) {
    return absl::InternalError(fmt::format("the worker's answer has {} outputs but {} contents",
                                           outputs.size(), raw.size()));
  }
  converted_.clear();
  converted_.resize(outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto datatype = wire::ParseDataType(outputs[i].datatype);
    if (!datatype) break;  // an error where it is opened
    ASSIGN_OR_RETURN(const size_t size, wire::RawContentsSize(outputs[i], *datatype));
    char* const room = converted_[i].Room(size, size);
    if (size > 0) RETURN_IF_ERROR(wire::CopyContents(outputs[i], *datatype, {room, size}));
    converted_[i].Commit(size);
    contents_.push_back(converted_[i].view());
  }
  contents_.resize(outputs.size());
  return absl::OkStatus();
}

absl::Status AnswerWriter::WriteInfer(const AnswerForm& form) {
  WriteHead();
  AppendText(",\"outputs\":[", json_);
  for (size_t i = 0; i < view_.outputs().size(); ++i) {
    if (i > 0) AppendText(",", json_);
    RETURN_IF_ERROR(WriteOutput(i, form.IsBinary(view_.outputs()[i].name)));
  }
  AppendText("]}", json_);
  return absl::OkStatus();
}

void AnswerWriter::WriteHead() {
  AppendText("{", json_);
  AppendMember("model_name", view_.model_name(), json_);
  if (!view_.model_version().empty()) {
    AppendText(",", json_);
    AppendMember("model_version", view_.model_version(), json_);
  }
  AppendText(",", json_);
  AppendMember("id", view_.id(), json_);
  if (view_.parameters().empty()) return;
  AppendText(",\"parameters\":{", json_);
  WriteParameters(view_.parameters());
  AppendText("}", json_);
}

absl::Status AnswerWriter::WriteOutput(size_t index, bool binary) {
  const wire::TensorView& output = view_.outputs()[index];
  const std::string_view raw = contents_[index];
  ASSIGN_OR_RETURN(TensorWriter tensor, Open(output, raw, false));
  AppendText("{", json_);
  AppendMember("name", output.name, json_);
  AppendText(",", json_);
  AppendMember("datatype", output.datatype, json_);
  AppendText(",\"shape\":[", json_);
  for (size_t i = 0; i < output.shape.size(); ++i) {
    if (i > 0) AppendText(",", json_);
    AppendNumber(output.shape[i], json_);
  }
  AppendText("]", json_);
  if (binary || !output.parameters.empty()) {
    AppendText(",\"parameters\":{", json_);
    WriteParameters(output.parameters);
    if (binary) {
      if (!output.parameters.empty()) AppendText(",", json_);
      AppendText("\"binary_data_size\":", json_);
      AppendNumber(static_cast<int64_t>(raw.size()), json_);
    }
    AppendText("}", json_);
  }
  if (binary) {
    pieces_.push_back(raw);
  } else {
    AppendText(",\"data\":", json_);
    RETURN_IF_ERROR(tensor.Append(std::array{tensor.count()}, json_));
  }
  AppendText("}", json_);
  return absl::OkStatus();
}

void AnswerWriter::WriteParameters(std::span<const wire::Parameter> parameters) {
  struct Value {
    ByteBuffer& json;
    void operator()(std::monostate) const { AppendText("null", json); }
    void operator()(bool value) const { AppendText(value ? "true" : "false", json); }
    void operator()(int64_t value) const { AppendNumber(value, json); }
    void operator()(std::string_view value) const { AppendString(value, json); }
    void operator()(double value) const {
      AppendText(std::isfinite(value) ? fmt::format("{}", value) : "null", json);
    }
    void operator()(uint64_t value) const { AppendText(std::to_string(value), json); }
  };
  for (const wire::Parameter& parameter : parameters) {
    if (&parameter != parameters.data()) AppendText(",", json_);
    AppendString(parameter.key, json_);
    AppendText(":", json_);
    std::visit(Value{json_}, parameter.value);
  }
}

absl::Status AnswerWriter::WriteColumns() {
  const auto outputs = view_.outputs();
  AppendText(outputs.size() == 1 ? "{\"outputs\":" : "{\"outputs\":{", json_);
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (i > 0) AppendText(",", json_);
    if (outputs.size() > 1) {
      AppendString(outputs[i].name, json_);
      AppendText(":", json_);
    }
    ASSIGN_OR_RETURN(TensorWriter tensor,
                     Open(outputs[i], contents_[i], IsBase64(outputs[i].name)));
    RETURN_IF_ERROR(tensor.Append(outputs[i].shape, json_));
  }
  AppendText(outputs.size() == 1 ? "}" : "}}", json_);
  return absl::OkStatus();
}

absl::Status AnswerWriter::WriteRows() {
  const auto outputs = view_.outputs();
  std::vector<TensorWriter> tensors;
  int64_t elements = 0;
  for (size_t i = 0; i < outputs.size(); ++i) {
    ASSIGN_OR_RETURN(const TensorWriter tensor,
                     Open(outputs[i], contents_[i], IsBase64(outputs[i].name)));
    tensors.push_back(tensor);
    elements += tensor.count();
    if (outputs[i].shape.empty() || outputs[i].shape[0] != outputs[0].shape[0]) {
      return absl::FailedPreconditionError(fmt::format(
          "output '{}' has no row for each of the instances; send 'inputs', not 'instances'",
          Clip(outputs[i].name)));
    }
  }
  AppendText("{\"predictions\":", json_);
  if (outputs.size() == 1) {
    RETURN_IF_ERROR(tensors[0].Append(outputs[0].shape, json_));
    AppendText("}", json_);
    return absl::OkStatus();
  }
  AppendText("[", json_);
  const int64_t rows = outputs.empty() ? 0 : outputs[0].shape[0];
  if (elements == 0 && rows > kMaxEmptyLists) {
    return absl::InternalError(fmt::format("the model's outputs have {} rows of nothing", rows));
  }
  for (int64_t row = 0; row < rows; ++row) {
    AppendText(row > 0 ? ",{" : "{", json_);
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (i > 0) AppendText(",", json_);
      AppendString(outputs[i].name, json_);
      AppendText(":", json_);
      RETURN_IF_ERROR(tensors[i].Append(outputs[i].shape.subspan(1), json_));
    }
    AppendText("}", json_);
  }
  AppendText("]}", json_);
  return absl::OkStatus();
}

absl::Status AnswerWriter::WritePlain(const AnswerForm& form) {
  if (view_.outputs().empty()) {
    return absl::InternalError("the worker's answer has no output");
  }
  const wire::TensorView& output = view_.outputs()[0];
  ASSIGN_OR_RETURN(TensorWriter tensor, Open(output, contents_[0], IsBase64(output.name)));
  const bool one = form.one_row && !output.shape.empty() && output.shape[0] == 1;
  AppendText("{\"y\":", json_);
  RETURN_IF_ERROR(tensor.Append(output.shape.subspan(one ? 1 : 0), json_));
  AppendText("}", json_);
  return absl::OkStatus();
}

}  // namespace torchfleet::gateway::rest
