#pragma once
// Writes a ModelInferResponse as a REST answer, in the form that its call asked
// for.
//
// Lifecycle and borrowing as RestCodec's. Not thread-safe.

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/protocol/rest/byte_buffer.h"
#include "gateway/protocol/rest/generate_names.h"
#include "gateway/protocol/rest/rest_codec.h"
#include "wire/infer_views.h"

namespace torchfleet::gateway::rest {

class AnswerWriter {
 public:
  absl::StatusOr<RestAnswer> Write(std::string_view response, const AnswerForm& form);

 private:
  // Raw contents of every output, whether they came raw or typed.
  absl::Status FindContents();

  absl::Status WriteInfer(const AnswerForm& form);
  absl::Status WriteOutput(size_t index, bool binary);
  void WriteHead();
  void WriteParameters(std::span<const wire::Parameter> parameters);

  // {"outputs": …}: one output bare, several by name.
  absl::Status WriteColumns();
  absl::Status WriteRows();
  absl::Status WritePlain(const AnswerForm& form);

  // generate_writer.cc: {"text_output": …, "details": …}, alone or as an event.
  absl::Status WriteAnswer(const AnswerForm& form);
  absl::Status WriteEvent(const AnswerForm& form);
  absl::Status WriteGenerated(const AnswerForm& form, std::span<const DetailOutput> details);
  absl::Status WriteDetails(std::span<const DetailOutput> details);
  // One value, or `list`: as many as there are.
  absl::Status WriteGeneratedValue(size_t index, bool list);
  std::optional<size_t> IndexOf(std::string_view output) const;

  wire::InferResponseView view_;
  ByteBuffer json_;
  std::vector<std::string_view> contents_;
  // Of outputs that came typed.
  std::vector<ByteBuffer> converted_;
  // The JSON, then the binary outputs.
  std::vector<std::string_view> pieces_;
};

}  // namespace torchfleet::gateway::rest
