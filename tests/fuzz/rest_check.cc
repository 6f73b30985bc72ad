#include "tests/fuzz/rest_check.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <vector>

#include "gateway/protocol/rest/rest_codec.h"
#include "gateway/protocol/rest/routes.h"
#include "gateway/protocol/rest/tensor_writer.h"
#include "wire/infer_views.h"
#include "wire/infer_writer.h"

namespace torchfleet::gateway::rest {
namespace {

// Accepts what is JSON, whatever its numbers: nlohmann's own acceptor refuses
// those over a double, which are JSON all the same.
class Grammar : public nlohmann::json_sax<nlohmann::json> {
 public:
  static bool Accepts(std::string_view text) {
    Grammar grammar;
    return nlohmann::json::sax_parse(text, &grammar) || grammar.large_number_;
  }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::detail::exception& error) override {
    constexpr int kNumberOverflow = 406;
    large_number_ = error.id == kNumberOverflow;
    return false;
  }

 private:
  bool large_number_ = false;
};

std::string Joined(std::span<const std::string_view> pieces) {
  std::string all;
  for (const std::string_view piece : pieces) all += piece;
  return all;
}

ModelSpec SpecOf(unsigned char choice) {
  const wire::DataType datatype = wire::kAllDataTypes[choice % wire::kAllDataTypes.size()];
  ModelSpec spec = {"m", {"1"}, "", {{"x", datatype, {-1, 2}}}, {}};
  if (choice & 0x40) spec.inputs[0].shape = {-1};
  if (choice & 0x80) spec.inputs.push_back({"b", wire::DataType::kBytes, {-1}});
  return spec;
}

// The request's inputs as a worker that echoes them answers.
std::string Echo(const wire::InferRequestView& request) {
  std::vector<wire::TensorSource> outputs;
  for (size_t i = 0; i < request.inputs().size(); ++i) {
    const wire::TensorView& input = request.inputs()[i];
    outputs.push_back({.name = input.name,
                       .datatype = input.datatype,
                       .shape = input.shape,
                       .parameters = input.parameters,
                       .data = request.raw_input_contents()[i]});
  }
  wire::InferWriter writer;
  const wire::ResponseSource response = {.model_name = "m",
                                         .model_version = "1",
                                         .id = request.id(),
                                         .parameters = request.parameters(),
                                         .outputs = outputs};
  return Joined(*writer.Write(response));
}

// Columns that were written read back to the same bytes.
std::string ReadBackFault(RestCodec& codec, const ModelSpec& spec, const std::string& json,
                          const wire::InferRequestView& request) {
  for (const wire::TensorView& input : request.inputs()) {
    for (const int64_t dimension : input.shape) {
      // Lists under an empty one have no shape in JSON.
      if (dimension == 0) return "";
    }
  }
  std::string body = json;
  body.replace(body.find("outputs"), 7, "inputs");
  const auto again = codec.ReadV1Predict({"m", "", {}, body}, spec);
  if (!again.ok()) return "an answer cannot be read: " + std::string(again.status().message());
  const std::string message = Joined(again->pieces);
  wire::InferRequestView view;
  if (!view.Parse(message).ok()) return "the second request is none";
  for (size_t i = 0; i < request.inputs().size(); ++i) {
    if (view.raw_input_contents()[i] != request.raw_input_contents()[i]) return "bytes changed";
  }
  return "";
}

std::string RequestFault(RestCodec& codec, const ModelSpec& spec, const RestRequest& read) {
  const std::string message = Joined(read.pieces);
  wire::InferRequestView view;
  if (message.size() != read.size || !view.Parse(message).ok()) return "the request is none";
  if (view.raw_input_contents().size() != view.inputs().size()) return "contents are missing";
  const std::string response = Echo(view);
  for (const auto kind : {AnswerForm::Kind::kInfer, AnswerForm::Kind::kPredictions,
                          AnswerForm::Kind::kOutputs, AnswerForm::Kind::kPlain}) {
    AnswerForm form = read.form;
    form.kind = kind;
    const auto answer = codec.WriteAnswer(response, form);
    // A binary tensor may be anything; one from JSON fits its shape.
    if (!answer.ok() && read.form.kind != AnswerForm::Kind::kInfer &&
        answer.status().code() == absl::StatusCode::kInternal) {
      return std::string(answer.status().message());
    }
    if (!answer.ok()) continue;
    const std::string body = Joined(answer->pieces);
    const std::string json = body.substr(0, answer->inference_header_length.value_or(body.size()));
    if (!Grammar::Accepts(json)) return "an answer is not JSON: " + json;
    if (kind != AnswerForm::Kind::kOutputs || read.form.kind == AnswerForm::Kind::kInfer) continue;
    if (std::string fault = ReadBackFault(codec, spec, json, view); !fault.empty()) return fault;
  }
  return "";
}

// A model with inputs for some parameters, and none for others.
ModelSpec TextSpecOf(unsigned char choice) {
  const wire::DataType datatype = wire::kAllDataTypes[choice % wire::kAllDataTypes.size()];
  ModelSpec spec = {"m",
                    {"1"},
                    "",
                    {{"text_input", wire::DataType::kBytes, {-1, 1}}},
                    {{"text_output", wire::DataType::kBytes, {-1, 1}}}};
  if (choice & 0x20) spec.inputs.push_back({"max_tokens", wire::DataType::kInt32, {-1, 1}});
  if (choice & 0x40) spec.inputs.push_back({"stop", wire::DataType::kBytes, {-1, -1}});
  if (choice & 0x80) spec.inputs.push_back({"x", datatype, {-1, 1}});
  return spec;
}

// The answer of a model that says the text again.
std::string Repeated(const wire::InferRequestView& request) {
  const std::vector<int64_t> shape = {1, 1};
  std::vector<wire::TensorSource> outputs;
  for (size_t i = 0; i < request.inputs().size(); ++i) {
    if (request.inputs()[i].name != "text_input") continue;
    for (const char* name : {"text_output", "finish_reason", "token_text"}) {
      outputs.push_back({.name = name,
                         .datatype = "BYTES",
                         .shape = shape,
                         .parameters = {},
                         .data = request.raw_input_contents()[i]});
    }
  }
  wire::InferWriter writer;
  return Joined(*writer.Write(wire::ResponseSource{.model_name = "m",
                                                   .model_version = "1",
                                                   .id = request.id(),
                                                   .parameters = {},
                                                   .outputs = outputs}));
}

// The text comes back as it was sent, in a document and in an event.
std::string TextFault(RestCodec& codec, const RestRequest& read, std::string_view body) {
  const std::string message = Joined(read.pieces);
  wire::InferRequestView view;
  if (message.size() != read.size || !view.Parse(message).ok()) return "the request is none";
  const auto sent = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  for (const auto kind : {AnswerForm::Kind::kGenerate, AnswerForm::Kind::kEvent}) {
    AnswerForm form = read.form;
    form.kind = kind;
    const auto answer = codec.WriteAnswer(Repeated(view), form);
    if (!answer.ok()) return std::string(answer.status().message());
    std::string text = Joined(answer->pieces);
    if (kind == AnswerForm::Kind::kEvent) {
      if (!text.starts_with("data: ") || text.find('\n') != text.size() - 2) {
        return "this is not one event: " + text;
      }
      text.erase(0, 6);
    }
    const auto got = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!got.is_object()) return "an answer is not JSON: " + text;
    // A number over a double is JSON that nlohmann does not read.
    if (sent.is_object() && got["text_output"] != sent["text_input"]) return "the text changed";
  }
  return "";
}

// The binary tensors behind an answer's JSON are as long as that says.
std::string BinaryFault(const RestAnswer& answer) {
  const std::string body = Joined(answer.pieces);
  if (body.size() != answer.size) return "an answer has another size than it says";
  const size_t json_size = answer.inference_header_length.value_or(body.size());
  const auto json = nlohmann::json::parse(body.substr(0, json_size), nullptr, false);
  if (json.is_discarded()) return "the JSON before binary data is none";
  size_t binary = 0;
  for (const auto& output : json.value("outputs", nlohmann::json::array())) {
    const auto parameters = output.value("parameters", nlohmann::json::object());
    const bool sent = parameters.contains("binary_data_size");
    if (sent == output.contains("data")) return "an output comes not once: " + output.dump();
    if (sent) binary += parameters["binary_data_size"].get<size_t>();
  }
  return json_size + binary == body.size() ? "" : "binary data is not as long as it says";
}

std::string RouteFault(std::string_view method, std::string_view target) {
  const RouteMatch match = MatchRoute(method, target);
  if ((match.code == 200) != match.error.ok()) return "a route fails without an error";
  if (match.code != 200 && match.code != 400 && match.code != 404 && match.code != 405) {
    return "a route fails with another code";
  }
  const std::string& model = match.route.model;
  if (model.size() > 1024 || model.find_first_of(std::string_view("/\\\0", 3)) != model.npos ||
      model.starts_with('.')) {
    return "a name is taken that is none";
  }
  if (match.error.message().size() > 512) return "an error is too long";
  // A query, a slash at the end and the proxy's form are the same path.
  if (!target.starts_with('/') || target.find_first_of("?#") != target.npos) return "";
  const std::string text(target);
  std::vector<std::string> same = {text + "?a=b", "http://host" + text};
  if (!target.ends_with('/')) same.push_back(text + "/");
  for (const std::string& other : same) {
    const RouteMatch again = MatchRoute(method, other);
    if (again.code != match.code || again.route.model != model ||
        again.route.version != match.route.version || again.route.action != match.route.action) {
      return "another route for " + other;
    }
  }
  return "";
}

std::string AnswerFault(RestCodec& codec, unsigned char choice, std::string_view response) {
  AnswerForm form;
  form.kind = static_cast<AnswerForm::Kind>(choice % 4);
  form.binary = choice >= 128;
  if ((choice & 0x40) != 0) form.exceptions = {"y"};
  form.one_row = (choice & 0x20) != 0;
  const auto answer = codec.WriteAnswer(response, form);
  if (!answer.ok()) return answer.status().message().size() <= 512 ? "" : "an error is too long";
  if (form.kind == AnswerForm::Kind::kInfer) return BinaryFault(*answer);
  const std::string body = Joined(answer->pieces);
  return Grammar::Accepts(body) ? "" : "an answer is not JSON: " + body;
}

}  // namespace

std::string RestFault(std::string_view input) {
  if (input.size() < 2) return "";
  const auto choice = static_cast<unsigned char>(input[1]);
  const char mode = input[0];
  std::string_view body = input.substr(2);
  RestCodec codec(RestLimits{.message_bytes = 1 << 20});
  const ModelSpec spec = SpecOf(choice);
  if (mode == 'r') {
    constexpr std::string_view kMethods[] = {"POST", "GET", "HEAD", "OPTIONS", "PUT"};
    return RouteFault(kMethods[choice % std::size(kMethods)], body);
  }
  if (mode == 'a') return AnswerFault(codec, choice, body);
  std::string length = std::to_string(choice);
  if (mode == 'l') {
    const size_t end = std::min(body.find('\n'), body.size());
    length = body.substr(0, end);
    body.remove_prefix(std::min(end + 1, body.size()));
  }
  if (mode == 'e') {
    AnswerForm form;
    form.kind = choice % 2 == 0 ? AnswerForm::Kind::kGenerate : AnswerForm::Kind::kEvent;
    form.details = choice >= 128;
    const auto answer = codec.WriteAnswer(body, form);
    if (!answer.ok() || answer->size == 0) return "";
    const std::string text = Joined(answer->pieces);
    const size_t begin = choice % 2 == 0 ? 0 : std::string_view("data: ").size();
    return Grammar::Accepts(text.substr(begin)) ? "" : "an answer is not JSON: " + text;
  }
  if (mode == 'g') {
    const auto read = codec.ReadGenerate({"m", "", {}, body}, TextSpecOf(choice));
    if (!read.ok()) return read.status().message().size() <= 512 ? "" : "an error is too long";
    if (!Grammar::Accepts(body)) return "a body was taken that is no JSON";
    return TextFault(codec, *read, body);
  }
  RestCall call = {"m", "", {}, body};
  if (mode == 'b' || mode == 'l') call.inference_header_length = length;
  const auto read = mode == 'v'   ? codec.ReadV1Predict(call, spec)
                    : mode == 'x' ? codec.ReadPlainPredict(call, spec)
                                  : codec.ReadInfer(call, &spec);
  if (!read.ok()) {
    return read.status().message().size() <= 512 ? "" : "an error is too long";
  }
  if (call.inference_header_length) body = body.substr(0, std::stoul(length));
  if (!RestCodec::IsRaw(call) && !Grammar::Accepts(body)) return "a body was taken that is no JSON";
  return RequestFault(codec, spec, *read);
}

}  // namespace torchfleet::gateway::rest
