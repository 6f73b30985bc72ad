#include "registry/catalogue/rest_text.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "registry/catalogue/rules/fields.h"

namespace torchfleet::registry {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr char kJson[] = "application/json";

int CodeOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
      return 400;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kAlreadyExists:
      return 409;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kCancelled:
      return 503;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    case absl::StatusCode::kResourceExhausted:
      return 507;
    default:
      return 500;
  }
}

// Adds key=value to a map of texts.
bool AddEntry(const std::string& text, const FieldDescriptor& field, Message& message) {
  const size_t equals = text.find('=');
  if (equals == text.npos) return false;
  Message& entry = *message.GetReflection()->AddMessage(&message, &field);
  const auto& type = *field.message_type();
  entry.GetReflection()->SetString(&entry, type.map_key(), text.substr(0, equals));
  entry.GetReflection()->SetString(&entry, type.map_value(), text.substr(equals + 1));
  return true;
}

// False when the text is no value of that field.
bool SetField(const std::string& text, const FieldDescriptor& field, Message& message) {
  const auto& reflection = *message.GetReflection();
  if (field.is_map()) return AddEntry(text, field, message);
  uint32_t small = 0;
  uint64_t large = 0;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      reflection.SetString(&message, &field, text);
      return true;
    case FieldDescriptor::CPPTYPE_BOOL:
      reflection.SetBool(&message, &field, text == "true");
      return text == "true" || text == "false";
    case FieldDescriptor::CPPTYPE_UINT32:
      if (!absl::SimpleAtoi(text, &small)) return false;
      reflection.SetUInt32(&message, &field, small);
      return true;
    case FieldDescriptor::CPPTYPE_UINT64:
      if (!absl::SimpleAtoi(text, &large)) return false;
      reflection.SetUInt64(&message, &field, large);
      return true;
    default:
      return false;
  }
}

bool IsPlain(const FieldDescriptor& field) {
  return field.is_map() || field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE;
}

std::string Kind(const FieldDescriptor& field) {
  if (field.is_map()) return "key=value";
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL) return "true or false";
  return "a whole number";
}

std::string ParameterNames(const Message& message, std::string_view bound) {
  std::string names;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    if (!IsPlain(field) || field.name() == bound) continue;
    names += (names.empty() ? "" : ", ") + field.name();
  }
  return names.empty() ? "none" : names;
}

}  // namespace

absl::Status FillFromQuery(const OperatorRequest& from, std::string_view bound, Message& request) {
  for (const auto& [name, value] : from.query) {
    const FieldDescriptor* const field = request.GetDescriptor()->FindFieldByName(name);
    if (!field || !IsPlain(*field) || name == bound) {
      return FieldError(Clip(name), fmt::format("is no parameter here; expected {}",
                                                ParameterNames(request, bound)));
    }
    RETURN_IF_ERROR(CheckText(name, value, kMaxStoredBytes));
    if (!SetField(value, *field, request)) {
      return FieldError(name, fmt::format("is '{}'; expected {}", Clip(value), Kind(*field)));
    }
  }
  return absl::OkStatus();
}

absl::Status FillFromBody(const OperatorRequest& from, Message& message) {
  const auto status = google::protobuf::util::JsonStringToMessage(from.body, &message);
  if (status.ok()) return absl::OkStatus();
  const auto text = status.message();
  return FieldError("body", fmt::format("is no {} in JSON: {}", message.GetDescriptor()->name(),
                                        Clip(std::string_view(text.data(), text.size()), 300)));
}

absl::Status FillFromIfMatch(const OperatorRequest& from, uint64_t& revision) {
  absl::string_view text = from.if_match;
  if (text.empty() || text == "*") return absl::OkStatus();
  if (absl::ConsumePrefix(&text, "\"") != absl::ConsumeSuffix(&text, "\"") ||
      !absl::SimpleAtoi(text, &revision) || revision == 0) {
    return FieldError("If-Match", fmt::format("is '{}'; expected the ETag of an answer, such as "
                                              "\"5\"",
                                              Clip(from.if_match)));
  }
  return absl::OkStatus();
}

OperatorAnswer JsonAnswer(int code, const Message& message) {
  OperatorAnswer answer{.code = code, .type = kJson, .body = {}};
  const auto status = google::protobuf::util::MessageToJsonString(message, &answer.body);
  if (!status.ok()) return HttpErrorAnswer(500, "the answer is no text");
  answer.body += "\n";
  return answer;
}

OperatorAnswer ErrorAnswer(const absl::Status& status) {
  nlohmann::ordered_json error = {{"error", Clip(std::string(status.message()), kMaxErrorText)},
                                  {"code", absl::StatusCodeToString(status.code())}};
  if (const auto field = BadField(status)) error["field"] = *field;
  OperatorAnswer answer{.code = CodeOf(status.code()), .type = kJson, .body = error.dump() + "\n"};
  if (answer.code == 503) answer.headers.emplace_back("Retry-After", "1");
  return answer;
}

OperatorAnswer HttpErrorAnswer(int code, std::string_view text) {
  const nlohmann::json error = {{"error", std::string(text)}};
  return {.code = code, .type = kJson, .body = error.dump() + "\n"};
}

}  // namespace torchfleet::registry
