#include "cli/catalogue/resource_text.h"

#include <fmt/format.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>

#include "base/status.h"

namespace torchfleet::cli {
namespace {

// Keeps the first error that a parser finds.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    if (text.empty()) text = fmt::format("line {}, column {}: {}", line + 1, column + 1, message);
  }

  std::string text;
};

std::string JsonError(const std::string& text, google::protobuf::Message& message) {
  const auto status = google::protobuf::util::JsonStringToMessage(text, &message);
  return status.ok() ? "" : std::string(status.message().data(), status.message().size());
}

std::string TextFormatError(const std::string& text, google::protobuf::Message& message) {
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (parser.ParseFromString(text, &message)) return "";
  return error.text.empty() ? "it is not text of that form" : error.text;
}

}  // namespace

absl::Status ReadResource(const std::string& text, const std::string& file,
                          google::protobuf::Message& message) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  const bool json = first != text.npos && text[first] == '{';
  const std::string error = json ? JsonError(text, message) : TextFormatError(text, message);
  if (error.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("{} is no {} in {}: {}", file,
                                                message.GetDescriptor()->name(),
                                                json ? "JSON" : "text format", Clip(error, 300)));
}

std::string AsJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  std::string text;
  (void)google::protobuf::util::MessageToJsonString(message, &text, options);
  return text;
}

}  // namespace torchfleet::cli
