// generate and generate_stream: bodies to requests, responses to answers.

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/unit/gateway/rest/rest_case.h"

namespace torchfleet::gateway::rest {
namespace {

using nlohmann::json;
using wire::DataType;

// Takes a text and no more; with a batch, and without.
const ModelSpec kPlain = {"m",
                          {"1"},
                          "",
                          {{"text_input", DataType::kBytes, {-1, 1}}},
                          {{"text_output", DataType::kBytes, {-1, 1}}}};
const ModelSpec kRow = {"m",
                        {"1"},
                        "",
                        {{"text_input", DataType::kBytes, {1}}},
                        {{"text_output", DataType::kBytes, {1}}}};
// Has an input for every known parameter, and one more.
const ModelSpec kFull = {"m",
                         {"1"},
                         "",
                         {{"text_input", DataType::kBytes, {-1, 1}},
                          {"temperature", DataType::kFp32, {-1, 1}},
                          {"top_p", DataType::kFp64, {-1, 1}},
                          {"max_tokens", DataType::kInt32, {-1, 1}},
                          {"stop", DataType::kBytes, {-1, -1}},
                          {"details", DataType::kBool, {-1, 1}},
                          {"seed", DataType::kUint64, {-1, 1}}},
                         {{"text_output", DataType::kBytes, {-1, 1}},
                          {"finish_reason", DataType::kBytes, {-1, 1}},
                          {"logprobs", DataType::kFp32, {-1, -1}},
                          {"token_id", DataType::kInt64, {-1, 1}},
                          {"token_special", DataType::kBool, {-1, 1}}}};
const ModelSpec kFixedStop = {
    "m",
    {"1"},
    "",
    {{"text_input", DataType::kBytes, {-1}}, {"stop", DataType::kBytes, {2}}},
    {{"text_output", DataType::kBytes, {-1}}}};

void Read(const ModelSpec& spec, const std::string& body, ReadCase& read, bool stream = false) {
  RestCodec codec;
  const RestCall call = {"m", "", {}, body};
  read.Take(stream ? codec.ReadGenerateStream(call, spec) : codec.ReadGenerate(call, spec));
}

// The inputs by name: shape and raw contents.
using Inputs = std::map<std::string, std::pair<std::vector<int64_t>, std::string>>;

Inputs InputsOf(const ReadCase& read) {
  Inputs inputs;
  for (size_t i = 0; i < read.view.inputs().size(); ++i) {
    const wire::TensorView& input = read.view.inputs()[i];
    inputs[std::string(input.name)] = {{input.shape.begin(), input.shape.end()},
                                       std::string(read.view.raw_input_contents()[i])};
  }
  return inputs;
}

template <typename T>
bool HasParameter(const ReadCase& read, std::string_view name, T value) {
  const auto* const found = wire::FindParameter(read.view.parameters(), name);
  return found != nullptr && *found == wire::ParameterValue(value);
}

TEST_CASE("Generate: a text is the model's input, with a batch of one or without",
          "[gateway][rest]") {
  const std::string text = RawTexts({"Say \"\xf0\x9f\x98\x80\"\n"});
  const std::string body = R"({"id": "7", "text_input": "Say \"\ud83d\ude00\"\n", "other": [1]})";
  for (const auto* spec : {&kPlain, &kRow}) {
    ReadCase read;
    Read(*spec, body, read);
    INFO(read.Text());
    REQUIRE(read.status.ok());
    CHECK(read.view.model_name() == "m");
    CHECK(read.view.id() == "7");
    const std::vector<int64_t> shape =
        spec == &kPlain ? std::vector<int64_t>{1, 1} : std::vector<int64_t>{1};
    CHECK(InputsOf(read) == Inputs{{"text_input", {shape, text}}});
    REQUIRE(read.view.outputs().size() == 1);
    CHECK(read.view.outputs()[0].name == "text_output");
    CHECK(read.view.parameters().size() == 1);
    CHECK(HasParameter(read, "max_tokens", int64_t{20}));
    CHECK(read.form.kind == AnswerForm::Kind::kGenerate);
    CHECK_FALSE(read.form.details);
  }
}

TEST_CASE("Generate: parameters go to the inputs of their names", "[gateway][rest]") {
  ReadCase read;
  Read(kFull,
       R"({"parameters": {"temperature": 0.5, "top_p": 1, "max_tokens": 3e0, "stop": ["a", "\n"],
           "details": true, "seed": 18446744073709551615}, "text_input": "x"})",
       read);
  INFO(read.Text());
  REQUIRE(read.status.ok());
  const std::vector<int64_t> one = {1, 1};
  CHECK(InputsOf(read) == Inputs{{"text_input", {one, RawTexts({"x"})}},
                                 {"temperature", {one, Raw<float>({0.5})}},
                                 {"top_p", {one, Raw<double>({1})}},
                                 {"max_tokens", {one, Raw<int32_t>({3})}},
                                 {"stop", {{1, 2}, RawTexts({"a", "\n"})}},
                                 {"details", {one, Raw<bool>({true})}},
                                 {"seed", {one, Raw<uint64_t>({UINT64_MAX})}}});
  CHECK(read.view.parameters().empty());
  CHECK(read.form.details);
  REQUIRE(read.view.outputs().size() == 3);
  CHECK(read.view.outputs()[1].name == "finish_reason");
  CHECK(read.view.outputs()[2].name == "logprobs");
}

TEST_CASE("Generate: without max_tokens the model's input gets 20", "[gateway][rest]") {
  ReadCase read;
  Read(kFull, R"({"text_input": ""})", read);
  REQUIRE(read.status.ok());
  CHECK(InputsOf(read) == Inputs{{"text_input", {{1, 1}, RawTexts({""})}},
                                 {"max_tokens", {{1, 1}, Raw<int32_t>({20})}}});
}

TEST_CASE("Generate: parameters that are no inputs travel with the request", "[gateway][rest]") {
  ReadCase read;
  Read(kPlain,
       R"({"text_input": "x", "parameters": {"temperature": 0.5, "top_p": 1, "max_tokens": 7.0,
           "stop": ["a" , "\""], "details": false, "mine": "text", "yes": true}})",
       read);
  INFO(read.Text());
  REQUIRE(read.status.ok());
  CHECK(read.view.inputs().size() == 1);
  CHECK(read.view.parameters().size() == 7);
  CHECK(HasParameter(read, "temperature", 0.5));
  CHECK(HasParameter(read, "top_p", int64_t{1}));
  CHECK(HasParameter(read, "max_tokens", int64_t{7}));
  CHECK(HasParameter(read, "stop", std::string_view(R"(["a" , "\""])")));
  CHECK(HasParameter(read, "details", false));
  CHECK(HasParameter(read, "mine", std::string_view("text")));
  CHECK(HasParameter(read, "yes", true));
  CHECK_FALSE(read.form.details);
}

TEST_CASE("Generate: a list fills the size that the model leaves open", "[gateway][rest]") {
  ReadCase read;
  Read(kFixedStop, R"({"text_input": "x", "parameters": {"stop": ["a", "b"]}})", read);
  REQUIRE(read.status.ok());
  CHECK(InputsOf(read)["stop"] == std::pair(std::vector<int64_t>{2}, RawTexts({"a", "b"})));
  ReadCase none;
  Read(kFull, R"({"text_input": "x", "parameters": {"stop": []}})", none);
  REQUIRE(none.status.ok());
  CHECK(InputsOf(none)["stop"] == std::pair(std::vector<int64_t>{1, 0}, std::string()));
}

struct Bad {
  const ModelSpec* model;
  std::string body, says;
};

TEST_CASE("Generate: what is wrong is named", "[gateway][rest]") {
  const ModelSpec numbers = {"m", {"1"}, "", {{"x", DataType::kFp32, {-1, 2}}}, {}};
  const ModelSpec no_text = {
      "m", {"1"}, "", kPlain.inputs, {{"text_output", DataType::kFp32, {-1}}}};
  const ModelSpec two_texts = {
      "m", {"1"}, "", {{"text_input", DataType::kBytes, {-1, 2}}}, kPlain.outputs};
  const auto with = [](const std::string& parameters) {
    return R"({"text_input": "x", "parameters": )" + parameters + "}";
  };
  const Bad rows[] = {
      {&numbers, R"({"text_input": "x"})", "model 'm' generates no text"},
      {&no_text, R"({"text_input": "x"})", "model 'm' generates no text"},
      {&two_texts, R"({"text_input": "x"})", "the model takes [-1,2]"},
      {&kPlain, "", "an object"},
      {&kPlain, "[]", "an object"},
      {&kPlain, "{}", "the body has no 'text_input'"},
      {&kPlain, R"({"text_input": 5})", "a text as text_input"},
      {&kPlain, R"({"text_input": ["x"]})", "a text as text_input"},
      {&kPlain, R"({"text_input": "x", "text_input": "x"})", "came twice"},
      {&kPlain, R"({"text_input": "x"} x)", "the end of the JSON"},
      {&kPlain, R"({"text_input": "x", "id": 5})", "a string"},
      {&kPlain, "{\"text_input\": \"\xff\"}", "UTF-8"},
      {&kPlain, with("[]"), "an object"},
      {&kPlain, with("{}}"), "the end of the JSON"},
      {&kPlain, with(R"({"temperature": "hot"})"), "a number as temperature"},
      {&kFull, with(R"({"temperature": [0.5]})"), "a number as temperature"},
      {&kFull, with(R"({"temperature": 1e39})"), "FP32"},
      {&kPlain, with(R"({"temperature": 1e999})"), "no 64-bit number"},
      {&kPlain, with(R"({"top_p": null})"), "a number as top_p"},
      {&kPlain, with(R"({"max_tokens": 2.5})"), "a whole number as max_tokens"},
      {&kPlain, with(R"({"max_tokens": "9"})"), "a whole number as max_tokens"},
      {&kPlain, with(R"({"max_tokens": 18446744073709551615})"), "a 64-bit number as max_tokens"},
      {&kFull, with(R"({"max_tokens": 3000000000})"), "INT32"},
      {&kPlain, with(R"({"stop": "a"})"), "a list of texts as stop"},
      {&kPlain, with(R"({"stop": ["a", 5]})"), "a string"},
      {&kFull, with(R"({"stop": ["a", 5]})"), "BYTES"},
      {&kFull, with(R"({"stop": [["a"]]})"), "came with the shape [1,1]"},
      {&kFixedStop, with(R"({"stop": ["a"]})"), "came with the shape [1]"},
      {&kPlain, with(R"({"details": 1})"), "true or false as details"},
      {&kFull, with(R"({"seed": -1})"), "UINT64"},
      {&kPlain, with(R"({"mine": {}})"), "as parameter 'mine'"},
      {&kPlain, with(R"({"mine": []})"), "as parameter 'mine'"},
      {&kPlain, with(R"({"mine": 1, "mine": 2})"), "the parameter 'mine' came twice"},
      {&kFull, with(R"({"seed": 1, "seed": 2})"), "the parameter 'seed' came twice"},
      {&kPlain, with(R"({"text_input": "x"})"), "expected it beside 'parameters'"},
  };
  for (const Bad& row : rows) {
    ReadCase read;
    Read(*row.model, row.body, read);
    INFO(row.body << ' ' << read.Text());
    CHECK(read.status.code() == absl::StatusCode::kInvalidArgument);
    CHECK(read.Says(row.says));
  }
}

TEST_CASE("Generate: no more parameters than a message may have", "[gateway][rest]") {
  for (const size_t count : {size_t{255}, size_t{256}}) {
    json parameters;
    for (size_t i = 0; i < count; ++i) parameters["p" + std::to_string(i)] = i;
    ReadCase read;
    Read(kPlain, json{{"text_input", "x"}, {"parameters", parameters}}.dump(), read);
    CHECK(read.status.ok() == (count == 255));
  }
}

struct Written {
  int code = 0;
  std::string text, content_type;
};

Written Write(const std::string& response, AnswerForm::Kind kind, bool details) {
  RestCodec codec;
  AnswerForm form;
  form.kind = kind;
  form.details = details;
  const auto answer = codec.WriteAnswer(response, form);
  if (!answer.ok())
    return {static_cast<int>(answer.status().code()), std::string(answer.status().message()), ""};
  CHECK(Joined(answer->pieces).size() == answer->size);
  return {0, Joined(answer->pieces), std::string(answer->content_type)};
}

TEST_CASE("Generate: the answer is one document", "[gateway][rest]") {
  const std::string response = Response({{"text_output", "BYTES", {1, 1}, RawTexts({"a\n\"b"})},
                                         {"finish_reason", "BYTES", {1, 1}, RawTexts({"length"})},
                                         {"logprobs", "FP32", {1, 2}, Raw<float>({-0.5, -1})},
                                         {"token_id", "INT64", {1, 1}, Raw<int64_t>({5})}},
                                        "an id");
  json expected = {
      {"model_name", "m"}, {"model_version", "1"}, {"id", "an id"}, {"text_output", "a\n\"b"}};
  const Written plain = Write(response, AnswerForm::Kind::kGenerate, false);
  CHECK(plain.content_type == "application/json");
  CHECK(json::parse(plain.text) == expected);
  expected["details"] = {{"finish_reason", "length"}, {"logprobs", {-0.5, -1.0}}};
  CHECK(json::parse(Write(response, AnswerForm::Kind::kGenerate, true).text) == expected);
  const std::string bare = Response({{"text_output", "BYTES", {1}, RawTexts({""})}});
  CHECK(json::parse(Write(bare, AnswerForm::Kind::kGenerate, true).text)["details"] ==
        json::object());
}

TEST_CASE("GenerateStream: an answer is an event, with its token", "[gateway][rest]") {
  const std::string response = Response({{"text_output", "BYTES", {1}, RawTexts({"a\n\nb"})},
                                         {"token_id", "INT64", {1}, Raw<int64_t>({5})},
                                         {"token_special", "BOOL", {1}, Raw<bool>({false})}});
  for (const bool details : {false, true}) {
    const Written event = Write(response, AnswerForm::Kind::kEvent, details);
    CHECK(event.content_type == "text/event-stream");
    REQUIRE(event.text.starts_with("data: {"));
    REQUIRE(event.text.ends_with("}\n\n"));
    CHECK(event.text.find('\n') == event.text.size() - 2);
    const json data = json::parse(event.text.substr(6));
    CHECK(data["text_output"] == "a\n\nb");
    CHECK(data.contains("details") == details);
    if (details) {
      CHECK(data["details"] == json{{"token", {{"id", 5}, {"special", false}}}});
    }
  }
  CHECK(Write(Response({}), AnswerForm::Kind::kEvent, true).text.empty());
}

TEST_CASE("Generate: an answer that is no text is the model's fault", "[gateway][rest]") {
  for (const auto& [output, code] :
       {std::pair(OutputCase{"other", "BYTES", {1}, RawTexts({"a"})}, absl::StatusCode::kInternal),
        {OutputCase{"text_output", "BYTES", {2}, RawTexts({"a", "b"})},
         absl::StatusCode::kInternal},
        {OutputCase{"text_output", "BYTES", {0}, ""}, absl::StatusCode::kInternal},
        {OutputCase{"text_output", "BYTES", {1}, RawTexts({"\xff"})},
         absl::StatusCode::kFailedPrecondition}}) {
    for (const auto kind : {AnswerForm::Kind::kGenerate, AnswerForm::Kind::kEvent}) {
      CHECK(Write(Response({output}), kind, false).code == static_cast<int>(code));
    }
  }
}

}  // namespace
}  // namespace torchfleet::gateway::rest
