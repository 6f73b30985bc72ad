#include "cli/infer/answer_text.h"

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace torchfleet::cli {
namespace {

inference::ModelInferResponse AnAnswer(const std::vector<float>& values, int64_t rows) {
  inference::ModelInferResponse response;
  response.set_model_name("mnist");
  response.set_model_version("3");
  auto* output = response.add_outputs();
  output->set_name("y");
  output->set_datatype("FP32");
  output->add_shape(rows);
  output->add_shape(static_cast<int64_t>(values.size()) / rows);
  response.add_raw_output_contents(reinterpret_cast<const char*>(values.data()),
                                   values.size() * sizeof(float));
  return response;
}

TEST_CASE("AnswerAsJson: one line a program can read", "[cli][infer]") {
  CHECK(*AnswerAsJson(AnAnswer({0.25F, 0.75F}, 1)) ==
        R"({"model_name":"mnist","model_version":"3","outputs":[{"name":"y","datatype":"FP32",)"
        R"("shape":[1,2],"data":[[0.25,0.75]]}]})"
        "\n");
}

TEST_CASE("AnswerAsTable: a row each, and the likeliest class of probabilities", "[cli][infer]") {
  CHECK(*AnswerAsTable(AnAnswer({0.25F, 0.75F, 3.5F, -1}, 2)) ==
        "mnist version 3\n"
        "y  FP32 [2,2]\n"
        "    0  class 1 (75.00 %)   0.25  0.75\n"
        "    1  3.5  -1\n");
}

TEST_CASE("AnswerAsTable: long rows are cut", "[cli][infer]") {
  const std::string text = *AnswerAsTable(AnAnswer(std::vector<float>(20, 7), 1));
  CHECK(text.find("… 8 more") != std::string::npos);
}

// One output `y` of that type.
inference::ModelInferResponse Answer(const std::string& datatype, const std::vector<int64_t>& shape,
                                     const std::string& bytes) {
  inference::ModelInferResponse response;
  response.set_model_name("m");
  response.set_model_version("1");
  auto* output = response.add_outputs();
  output->set_name("y");
  output->set_datatype(datatype);
  output->mutable_shape()->Add(shape.begin(), shape.end());
  response.add_raw_output_contents(bytes);
  return response;
}

template <typename T>
std::string Bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

TEST_CASE("Answer: large whole numbers keep every digit, in both forms", "[cli][infer]") {
  const auto answer = Answer("INT64", {1, 2}, Bytes<int64_t>({INT64_MIN, INT64_MAX}));
  CHECK(AnswerAsJson(answer)->find("[[-9223372036854775808,9223372036854775807]]") !=
        std::string::npos);
  CHECK(*AnswerAsTable(answer) ==
        "m version 1\ny  INT64 [1,2]\n    0  -9223372036854775808  9223372036854775807\n");
}

TEST_CASE("Answer: a number alone, a flat list, deeper lists, none at all", "[cli][infer]") {
  CHECK(*AnswerAsTable(Answer("INT32", {}, Bytes<int32_t>({7}))) ==
        "m version 1\ny  INT32 []\n  7\n");
  CHECK(*AnswerAsTable(Answer("BOOL", {2}, "\1" + std::string(1, '\0'))) ==
        "m version 1\ny  BOOL [2]\n  true  false\n");
  CHECK(*AnswerAsTable(Answer("UINT8", {1, 2, 2}, "\1\2\3\4")) ==
        "m version 1\ny  UINT8 [1,2,2]\n    0  1  2  3  4\n");
  CHECK(*AnswerAsTable(Answer("FP32", {0, 4}, "")) == "m version 1\ny  FP32 [0,4]\n  \n");
  CHECK(AnswerAsJson(Answer("FP32", {0, 4}, ""))->find(R"("shape":[0,4],"data":[])") !=
        std::string::npos);
}

TEST_CASE("Answer: text stays one line that can be read, whatever it holds", "[cli][infer]") {
  const std::string text("\x06\0\0\0a\n\x1b[1m", 10);
  CHECK(*AnswerAsTable(Answer("BYTES", {1, 1}, text)) ==
        "m version 1\ny  BYTES [1,1]\n    0  \"a\\n\\u001b[1m\"\n");
  const std::string binary("\2\0\0\0\xff\xfe", 6);
  CHECK(AnswerAsJson(Answer("BYTES", {1}, binary))->find("\"\xEF\xBF\xBD\xEF\xBF\xBD\"") !=
        std::string::npos);
}

TEST_CASE("Answer: what is no finite number is null for programs, named for people",
          "[cli][infer]") {
  const auto answer = Answer("FP64", {3}, Bytes<double>({INFINITY, -INFINITY, NAN}));
  CHECK(AnswerAsJson(answer)->find("\"data\":[null,null,null]") != std::string::npos);
  CHECK(AnswerAsTable(answer)->find("  inf  -inf  nan\n") != std::string::npos);
}

TEST_CASE("AnswerAsTable: only what sums to one has a likeliest class", "[cli][infer]") {
  struct Row {
    std::vector<float> values;
    bool likeliest;
  };
  const Row rows[] = {{{0.5F, 0.5F}, true},  {{0, 1}, true},         {{1}, false},
                      {{0.5F, 0.4F}, false}, {{1.5F, -0.5F}, false}, {{NAN, 1}, false}};
  for (const Row& row : rows) {
    CAPTURE(row.values);
    CHECK((AnswerAsTable(AnAnswer(row.values, 1))->find("class ") != std::string::npos) ==
          row.likeliest);
  }
  // Two whole numbers that sum to one are counts, not probabilities.
  CHECK(AnswerAsTable(Answer("INT32", {1, 2}, Bytes<int32_t>({0, 1})))->find("class ") ==
        std::string::npos);
}

TEST_CASE("Answer: every output under its own name", "[cli][infer]") {
  auto answer = Answer("INT32", {1}, Bytes<int32_t>({7}));
  auto* second = answer.add_outputs();
  second->set_name("z");
  second->set_datatype("UINT8");
  second->add_shape(1);
  answer.add_raw_output_contents("\x09");
  CHECK(*AnswerAsTable(answer) == "m version 1\ny  INT32 [1]\n  7\nz  UINT8 [1]\n  9\n");
  const auto json = nlohmann::json::parse(*AnswerAsJson(answer));
  REQUIRE(json["outputs"].size() == 2);
  CHECK(json["outputs"][1] ==
        nlohmann::json::parse(R"({"name":"z","datatype":"UINT8","shape":[1],"data":[9]})"));
  answer.mutable_outputs(0)->set_datatype("FP8");
  CHECK(AnswerAsJson(answer).status().message().find("'y'") != std::string::npos);
}

TEST_CASE("AnswerAsJson: an answer that contradicts itself is an error", "[cli][infer]") {
  inference::ModelInferResponse response = AnAnswer({1, 2}, 1);
  response.clear_raw_output_contents();
  CHECK(absl::IsInternal(AnswerAsJson(response).status()));
  CHECK(absl::IsInternal(AnswerAsTable(response).status()));
}

}  // namespace
}  // namespace torchfleet::cli
