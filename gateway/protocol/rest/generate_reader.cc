// generate and generate_stream: a text, and parameters, which go to the inputs of
// the model that have their names and travel as the request's otherwise.

#include <fmt/format.h>

#include <algorithm>

#include "gateway/protocol/rest/generate_names.h"
#include "gateway/protocol/rest/json_number.h"
#include "gateway/protocol/rest/parameter_reader.h"
#include "gateway/protocol/rest/request_reader.h"

namespace torchfleet::gateway::rest {
namespace {

enum class Form { kAny, kNumber, kWhole, kTexts, kBool };

// The parameters that have a meaning for every model.
struct KnownParameter {
  std::string_view name;
  Form form;
  std::string_view expected;
};
constexpr KnownParameter kKnown[] = {
    {"temperature", Form::kNumber, "a number as temperature"},
    {"top_p", Form::kNumber, "a number as top_p"},
    {"max_tokens", Form::kWhole, "a whole number as max_tokens"},
    {"stop", Form::kTexts, "a list of texts as stop"},
    {"details", Form::kBool, "true or false as details"},
};
constexpr std::string_view kMaxTokens = "max_tokens";
constexpr std::string_view kDefaultMaxTokens = "20";

const TensorSpec* Find(const std::vector<TensorSpec>& tensors, std::string_view name) {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const TensorSpec& tensor) { return tensor.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

bool HasText(const std::vector<TensorSpec>& tensors, std::string_view name) {
  const TensorSpec* const tensor = Find(tensors, name);
  return tensor != nullptr && tensor->datatype == wire::DataType::kBytes;
}

absl::Status CheckGenerates(const ModelSpec& spec) {
  if (HasText(spec.inputs, kTextInput) && HasText(spec.outputs, kTextOutput)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(fmt::format(
      "model '{}' generates no text; expected one with an input '{}' and an output '{}' of "
      "BYTES. Call it by /v2/models/…/infer",
      Clip(spec.name), kTextInput, kTextOutput));
}

// One body. The reader's parts are filled; the form says how to answer.
class GenerateBody {
 public:
  GenerateBody(std::string_view json, const ModelSpec& spec, size_t max_bytes, RequestParts& parts)
      : cursor_(json), spec_(spec), max_bytes_(max_bytes), parts_(parts), values_(cursor_, parts) {}

  absl::StatusOr<AnswerForm> Read(AnswerForm::Kind kind);

 private:
  absl::Status ReadText();
  absl::Status ReadParameter(std::string_view key);
  absl::Status CheckForm(const KnownParameter& known) const;
  absl::StatusOr<wire::ParameterValue> ReadValue(std::string_view key, Form form);
  absl::StatusOr<std::string_view> ReadTexts();
  absl::Status AddDefaults();
  // The value at the cursor, for that input.
  absl::Status ReadInput(JsonCursor& cursor, std::string_view where, const TensorSpec& tensor);
  void AddParameter(std::string_view key, wire::ParameterValue value);
  template <size_t kCount>
  void AskFor(const DetailOutput (&outputs)[kCount]);

  JsonCursor cursor_;
  const ModelSpec& spec_;
  const size_t max_bytes_;
  RequestParts& parts_;
  ParameterReader values_;
  std::vector<std::string_view> keys_;  // of parameters that came
  bool details_ = false;
};

absl::StatusOr<AnswerForm> GenerateBody::Read(AnswerForm::Kind kind) {
  enum Member { kId, kText, kParameters };
  Members seen;
  RETURN_IF_ERROR(cursor_.Object(parts_.texts, [&](std::string_view key) -> absl::Status {
    if (key == "id") {
      RETURN_IF_ERROR(seen.Add(kId, key));
      ASSIGN_OR_RETURN(parts_.id, cursor_.String(parts_.texts));
      return absl::OkStatus();
    }
    if (key == kTextInput) {
      RETURN_IF_ERROR(seen.Add(kText, key));
      return ReadText();
    }
    if (key != "parameters") return cursor_.SkipValue();
    RETURN_IF_ERROR(seen.Add(kParameters, key));
    return cursor_.Object(parts_.texts, [&](std::string_view name) { return ReadParameter(name); });
  }));
  RETURN_IF_ERROR(cursor_.ExpectEnd());
  if (!seen.Has(kText)) {
    return Invalid(kTextInput, fmt::format("the body has no '{}'; expected a text", kTextInput));
  }
  RETURN_IF_ERROR(AddDefaults());
  parts_.outputs.push_back({.name = kTextOutput, .parameters = {}});
  if (details_ && kind == AnswerForm::Kind::kEvent) AskFor(kEventDetails);
  if (details_ && kind == AnswerForm::Kind::kGenerate) AskFor(kAnswerDetails);
  AnswerForm form;
  form.kind = kind;
  form.details = details_;
  return form;
}

absl::Status GenerateBody::ReadText() {
  if (cursor_.Peek() != '"') return cursor_.Unexpected("a text as text_input");
  return ReadInput(cursor_, {}, *Find(spec_.inputs, kTextInput));
}

absl::Status GenerateBody::ReadParameter(std::string_view key) {
  if (std::find(keys_.begin(), keys_.end(), key) != keys_.end()) {
    return Invalid("parameters", fmt::format("the parameter '{}' came twice", Clip(key)));
  }
  constexpr size_t kMost = wire::MessageLimits().parameters - 1;  // room for a default
  if (keys_.size() == kMost) {
    return Invalid("parameters", fmt::format("there are over {} parameters", kMost));
  }
  keys_.push_back(key);
  const auto known =
      std::find_if(std::begin(kKnown), std::end(kKnown),
                   [&](const KnownParameter& parameter) { return parameter.name == key; });
  const Form form = known == std::end(kKnown) ? Form::kAny : known->form;
  cursor_.Peek();
  if (form != Form::kAny) RETURN_IF_ERROR(CheckForm(*known));
  if (form == Form::kBool) details_ = *cursor_.at() == 't';
  if (key == kTextInput) {
    return Invalid("parameters",
                   fmt::format("'{}' is a parameter; expected it beside 'parameters'", kTextInput));
  }
  if (const TensorSpec* const input = Find(spec_.inputs, key)) {
    return ReadInput(cursor_, "parameters", *input);
  }
  ASSIGN_OR_RETURN(const wire::ParameterValue value, ReadValue(key, form));
  AddParameter(key, value);
  return absl::OkStatus();
}

// How the value at the cursor begins.
absl::Status GenerateBody::CheckForm(const KnownParameter& known) const {
  JsonCursor ahead = cursor_;
  const char next = ahead.Peek();
  bool fits = false;
  if (known.form == Form::kTexts) {
    fits = next == '[';
  } else if (known.form == Form::kBool) {
    fits = next == 't' || next == 'f';
  } else {
    Decimal number;
    uint64_t whole;
    fits = ScanNumber(ahead.at(), ahead.end(), number) != nullptr &&
           (known.form == Form::kNumber || ToWhole(number, whole));
  }
  return fits ? absl::OkStatus() : ahead.Unexpected(known.expected);
}

absl::StatusOr<wire::ParameterValue> GenerateBody::ReadValue(std::string_view key, Form form) {
  if (form == Form::kTexts) return ReadTexts();
  if (form != Form::kWhole) return values_.ReadValue(key);
  // 20.0 is a whole number too.
  Decimal number;
  const char* const after = ScanNumber(cursor_.at(), cursor_.end(), number);
  uint64_t whole;
  if (!ToWhole(number, whole) || whole > static_cast<uint64_t>(INT64_MAX)) {
    return cursor_.Unexpected(fmt::format("a 64-bit number as {}", key));
  }
  cursor_.MoveTo(after);
  const auto magnitude = static_cast<int64_t>(whole);
  return number.negative ? -magnitude : magnitude;
}

// A parameter is no list: it travels as the JSON that it came as.
absl::StatusOr<std::string_view> GenerateBody::ReadTexts() {
  const char* const begin = cursor_.at();
  RETURN_IF_ERROR(cursor_.Array([&] { return cursor_.String(parts_.texts).status(); }));
  return std::string_view(begin, static_cast<size_t>(cursor_.at() - begin));
}

absl::Status GenerateBody::AddDefaults() {
  if (std::find(keys_.begin(), keys_.end(), kMaxTokens) != keys_.end()) return absl::OkStatus();
  JsonCursor value(kDefaultMaxTokens);
  if (const TensorSpec* const input = Find(spec_.inputs, kMaxTokens)) {
    return ReadInput(value, "parameters", *input);
  }
  AddParameter(kMaxTokens, int64_t{20});
  return absl::OkStatus();
}

absl::Status GenerateBody::ReadInput(JsonCursor& cursor, std::string_view where,
                                     const TensorSpec& tensor) {
  InputParts& input = parts_.AddInput();
  input.name = tensor.name;
  input.datatype = DataTypeName(tensor.datatype);
  // The text has no place but its own name.
  const std::string_view place = where.empty() ? input.name : where;
  RETURN_IF_ERROR(ReadTensor(cursor,
                             {.datatype = tensor.datatype,
                              .where = place,
                              .name = where.empty() ? std::string_view() : input.name,
                              .max_bytes = max_bytes_},
                             input.raw, parts_.value_shape));
  const Shape& came = parts_.value_shape;
  const int64_t count = came.empty() ? 1 : came.front();
  const auto shape =
      came.size() > 1 ? std::nullopt : FittingShape(tensor.shape, static_cast<size_t>(count));
  if (!shape) {
    return Invalid(place, fmt::format("'{}' came with the shape {}; the model takes {} of {}",
                                      Clip(tensor.name), ShapeText(came), ShapeText(tensor.shape),
                                      input.datatype));
  }
  input.shape = *shape;
  return absl::OkStatus();
}

void GenerateBody::AddParameter(std::string_view key, wire::ParameterValue value) {
  parts_.pool.push_back({.key = key, .value = value});
  ++parts_.parameters.count;
}

template <size_t kCount>
void GenerateBody::AskFor(const DetailOutput (&outputs)[kCount]) {
  for (const DetailOutput& detail : outputs) {
    if (Find(spec_.outputs, detail.output) == nullptr) continue;
    parts_.outputs.push_back({.name = detail.output, .parameters = {}});
  }
}

}  // namespace

absl::StatusOr<RestRequest> RequestReader::ReadGenerate(const RestCall& call, const ModelSpec& spec,
                                                        AnswerForm::Kind kind) {
  Begin();
  RETURN_IF_ERROR(CheckGenerates(spec));
  RETURN_IF_ERROR(CheckUtf8(call.body));
  ASSIGN_OR_RETURN(AnswerForm form,
                   GenerateBody(call.body, spec, limits_.message_bytes, parts_).Read(kind));
  return Finish(call, std::move(form));
}

}  // namespace torchfleet::gateway::rest
