// /v1, TensorFlow Serving's rows and columns, and the plain {"x": …}. The model's
// metadata says what the numbers are.

#include <fmt/format.h>

#include "gateway/protocol/rest/request_reader.h"

namespace torchfleet::gateway::rest {
namespace {

std::string InputNames(const ModelSpec& spec) {
  std::string names;
  for (const TensorSpec& input : spec.inputs) {
    names += fmt::format("{}'{}'", names.empty() ? "" : ", ", Clip(input.name, 32));
  }
  return Clip(names, 160);
}

// What both forms have in common: a cursor, and inputs by the model's names.
class PredictBody {
 public:
  PredictBody(std::string_view json, const ModelSpec& spec, size_t max_bytes, RequestParts& parts)
      : cursor_(json), spec_(spec), max_bytes_(max_bytes), parts_(parts) {}

  absl::StatusOr<AnswerForm> ReadV1();
  absl::StatusOr<AnswerForm> ReadPlain();

 private:
  absl::Status ReadInstances();
  absl::Status ReadColumns();
  absl::Status ReadRow(int64_t row);
  // The value at the cursor, for the model's only input.
  absl::Status ReadOnly(std::string_view where);
  // For one of that name; its index in parts_ is its index in the model.
  absl::StatusOr<size_t> IndexOf(std::string_view where, std::string_view name) const;
  absl::Status ReadValue(std::string_view where, size_t index, Shape& shape);
  // One input of the parts for each of the model.
  void AddInputs();
  absl::Status Fit(AnswerForm& form);

  // Whether an object of inputs comes next, not one of base64 or none at all.
  bool AtNames();

  JsonCursor cursor_;
  const ModelSpec& spec_;
  const size_t max_bytes_;
  RequestParts& parts_;
};

absl::StatusOr<AnswerForm> PredictBody::ReadV1() {
  enum Member { kSignature, kInstances, kInputs };
  Members seen;
  AddInputs();
  RETURN_IF_ERROR(cursor_.Object(parts_.texts, [&](std::string_view key) -> absl::Status {
    if (key == "instances") {
      RETURN_IF_ERROR(seen.Add(kInstances, key));
      return ReadInstances();
    }
    if (key == "inputs") {
      RETURN_IF_ERROR(seen.Add(kInputs, key));
      return ReadColumns();
    }
    if (key != "signature_name") return cursor_.SkipValue();
    // Our models have one signature, by whatever name a client knows it.
    RETURN_IF_ERROR(seen.Add(kSignature, key));
    return cursor_.String(parts_.texts).status();
  }));
  RETURN_IF_ERROR(cursor_.ExpectEnd());
  if (seen.Has(kInstances) == seen.Has(kInputs)) {
    return Invalid("instances", fmt::format("expected either 'instances' or 'inputs'; the body "
                                            "has {}",
                                            seen.Has(kInputs) ? "both" : "neither"));
  }
  AnswerForm form;
  form.kind = seen.Has(kInputs) ? AnswerForm::Kind::kOutputs : AnswerForm::Kind::kPredictions;
  return form;
}

absl::StatusOr<AnswerForm> PredictBody::ReadPlain() {
  enum Member { kX };
  Members seen;
  AddInputs();
  RETURN_IF_ERROR(cursor_.Object(parts_.texts, [&](std::string_view key) -> absl::Status {
    if (key != "x") return cursor_.SkipValue();
    RETURN_IF_ERROR(seen.Add(kX, key));
    return ReadOnly("x");
  }));
  RETURN_IF_ERROR(cursor_.ExpectEnd());
  if (!seen.Has(kX)) {
    return Invalid("x", "the body has no 'x'; expected {\"x\": a row or a list of rows}");
  }
  AnswerForm form;
  form.kind = AnswerForm::Kind::kPlain;
  RETURN_IF_ERROR(Fit(form));
  return form;
}

absl::Status PredictBody::ReadInstances() {
  if (cursor_.Peek() != '[') return cursor_.Unexpected("a list of instances");
  const char* const begin = cursor_.at();
  cursor_.Consume('[');
  const bool named = AtNames();
  cursor_.MoveTo(begin);
  if (!named) return ReadOnly("instances");
  int64_t rows = 0;
  RETURN_IF_ERROR(cursor_.Array([&] { return ReadRow(rows++); }));
  for (size_t i = 0; i < spec_.inputs.size(); ++i) {
    Shape& shape = parts_.inputs()[i].shape;
    shape.insert(shape.begin(), rows);
  }
  return absl::OkStatus();
}

absl::Status PredictBody::ReadRow(int64_t row) {
  size_t given = 0;
  RETURN_IF_ERROR(cursor_.Object(parts_.texts, [&](std::string_view key) -> absl::Status {
    ASSIGN_OR_RETURN(const size_t index, IndexOf("instances", key));
    if (parts_.value_counts[index] > row) {
      return Invalid("instances", fmt::format("instances[{}] has '{}' twice", row, Clip(key)));
    }
    RETURN_IF_ERROR(ReadValue("instances", index, parts_.value_shape));
    Shape& shape = parts_.inputs()[index].shape;
    if (row == 0) shape = parts_.value_shape;
    ++parts_.value_counts[index];
    ++given;
    if (shape == parts_.value_shape) return absl::OkStatus();
    return Invalid("instances",
                   fmt::format("instances[{}] has '{}' of the shape {}; the rows before have {}",
                               row, Clip(key), ShapeText(parts_.value_shape), ShapeText(shape)));
  }));
  if (given == spec_.inputs.size()) return absl::OkStatus();
  return Invalid("instances", fmt::format("instances[{}] has {} of the model's inputs; expected {}",
                                          row, given, InputNames(spec_)));
}

absl::Status PredictBody::ReadColumns() {
  if (!AtNames()) return ReadOnly("inputs");
  RETURN_IF_ERROR(cursor_.Object(parts_.texts, [&](std::string_view key) -> absl::Status {
    ASSIGN_OR_RETURN(const size_t index, IndexOf("inputs", key));
    if (parts_.value_counts[index]++ > 0) {
      return Invalid("inputs", fmt::format("'inputs' has '{}' twice", Clip(key)));
    }
    return ReadValue("inputs", index, parts_.inputs()[index].shape);
  }));
  for (size_t i = 0; i < parts_.value_counts.size(); ++i) {
    if (parts_.value_counts[i] > 0) continue;
    return Invalid("inputs", fmt::format("'inputs' has no '{}'; expected {}",
                                         Clip(spec_.inputs[i].name), InputNames(spec_)));
  }
  return absl::OkStatus();
}

absl::Status PredictBody::ReadOnly(std::string_view where) {
  if (spec_.inputs.size() != 1) {
    return Invalid(where, fmt::format("'{}' has values without names; the model takes {} inputs: "
                                      "{}. {}",
                                      where, spec_.inputs.size(), InputNames(spec_),
                                      where == "x" ? "Call /v2/models/…/infer"
                                                   : "Send objects with these names"));
  }
  return ReadValue(where, 0, parts_.inputs()[0].shape);
}

absl::StatusOr<size_t> PredictBody::IndexOf(std::string_view where, std::string_view name) const {
  for (size_t i = 0; i < spec_.inputs.size(); ++i) {
    if (spec_.inputs[i].name == name) return i;
  }
  return Invalid(where, fmt::format("'{}' has '{}', which is no input of the model; expected {}",
                                    where, Clip(name), InputNames(spec_)));
}

absl::Status PredictBody::ReadValue(std::string_view where, size_t index, Shape& shape) {
  const TensorSpec& tensor = spec_.inputs[index];
  return ReadTensor(cursor_,
                    {.datatype = tensor.datatype,
                     .where = where,
                     .name = where == "x" ? std::string_view() : std::string_view(tensor.name),
                     .base64_objects = true,
                     .max_bytes = max_bytes_},
                    parts_.inputs()[index].raw, shape);
}

void PredictBody::AddInputs() {
  for (const TensorSpec& tensor : spec_.inputs) {
    InputParts& input = parts_.AddInput();
    input.name = tensor.name;
    input.datatype = DataTypeName(tensor.datatype);
  }
  parts_.value_counts.assign(spec_.inputs.size(), 0);
}

bool PredictBody::AtNames() {
  if (cursor_.Peek() != '{') return false;
  const char* const begin = cursor_.at();
  cursor_.Consume('{');
  cursor_.Peek();
  const auto key = cursor_.String(parts_.texts);
  cursor_.MoveTo(begin);
  const bool base64 = key.ok() && *key == "b64" && spec_.inputs.size() == 1 &&
                      spec_.inputs[0].name != "b64" &&
                      spec_.inputs[0].datatype == wire::DataType::kBytes;
  return !base64;
}

bool Matches(std::span<const int64_t> shape, std::span<const int64_t> wanted) {
  return std::equal(shape.begin(), shape.end(), wanted.begin(), wanted.end(),
                    [](int64_t came, int64_t want) { return want < 0 || came == want; });
}

// What `x` may be: a row or rows as the model has them, or each row flat.
absl::Status PredictBody::Fit(AnswerForm& form) {
  const Shape& wanted = spec_.inputs[0].shape;
  Shape& shape = parts_.inputs()[0].shape;
  if (Matches(shape, wanted)) return absl::OkStatus();
  const bool batched = !wanted.empty() && wanted.front() < 0;
  const auto row = std::span(wanted).subspan(batched ? 1 : 0);
  int64_t flat = 1;
  for (const int64_t dimension : row) {
    if (dimension < 0 || __builtin_mul_overflow(flat, dimension, &flat)) flat = -1;
    if (flat < 0) break;
  }
  const bool one = batched && (Matches(shape, row) || (shape.size() == 1 && shape[0] == flat));
  const bool flat_rows =
      batched ? shape.size() == 2 && shape[1] == flat : shape.size() == 1 && shape[0] == flat;
  if (!one && !flat_rows) {
    return Invalid("x", fmt::format("'x' has the shape {}; the model takes {} (-1 is any size)",
                                    ShapeText(shape), ShapeText(wanted)));
  }
  form.one_row = one;
  if (one && Matches(shape, row)) {
    shape.insert(shape.begin(), 1);
    return absl::OkStatus();
  }
  const int64_t rows = one ? 1 : shape[0];
  shape = wanted;
  if (batched) shape[0] = rows;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RestRequest> RequestReader::ReadV1Predict(const RestCall& call,
                                                         const ModelSpec& spec) {
  Begin();
  RETURN_IF_ERROR(CheckUtf8(call.body));
  ASSIGN_OR_RETURN(AnswerForm form,
                   PredictBody(call.body, spec, limits_.message_bytes, parts_).ReadV1());
  return Finish(call, std::move(form));
}

absl::StatusOr<RestRequest> RequestReader::ReadPlainPredict(const RestCall& call,
                                                            const ModelSpec& spec) {
  Begin();
  RETURN_IF_ERROR(CheckUtf8(call.body));
  ASSIGN_OR_RETURN(AnswerForm form,
                   PredictBody(call.body, spec, limits_.message_bytes, parts_).ReadPlain());
  return Finish(call, std::move(form));
}

}  // namespace torchfleet::gateway::rest
