#include <catch2/catch_test_macros.hpp>
#include <string>

#include "tests/unit/gateway/rest/rest_case.h"

namespace torchfleet::gateway::rest {
namespace {

using wire::DataType;

const ModelSpec kOne = {"m", {"1"}, "", {{"x", DataType::kFp32, {-1, 2}}}, {}};
const ModelSpec kScalars = {"m", {"1"}, "", {{"x", DataType::kInt64, {-1}}}, {}};
const ModelSpec kImages = {"m", {"1"}, "", {{"x", DataType::kUint8, {-1, 2, 2}}}, {}};
const ModelSpec kFixed = {"m", {"1"}, "", {{"x", DataType::kFp32, {2, 2}}}, {}};
const ModelSpec kTexts = {"m", {"1"}, "", {{"t", DataType::kBytes, {-1}}}, {}};
const ModelSpec kTwo = {
    "m", {"1"}, "", {{"a", DataType::kFp32, {-1, 2}}, {"b", DataType::kBytes, {-1}}}, {}};

struct Good {
  const ModelSpec* model;
  std::string body;
  // Of each input.
  std::vector<std::vector<int64_t>> shapes;
  std::vector<std::string> raw;
  bool one_row = false;
};

void Check(const ReadCase& read, const Good& row) {
  INFO(row.body << ' ' << read.Text());
  REQUIRE(read.status.ok());
  REQUIRE(read.view.inputs().size() == row.shapes.size());
  for (size_t i = 0; i < row.shapes.size(); ++i) {
    const wire::TensorView& input = read.view.inputs()[i];
    CHECK(input.name == row.model->inputs[i].name);
    CHECK(input.datatype == DataTypeName(row.model->inputs[i].datatype));
    CHECK(std::vector(input.shape.begin(), input.shape.end()) == row.shapes[i]);
    CHECK(read.view.raw_input_contents()[i] == row.raw[i]);
  }
  CHECK(read.form.one_row == row.one_row);
}

TEST_CASE("V1: rows and columns become the model's inputs", "[gateway][rest]") {
  const std::string two = Raw<float>({1, 2}), four = Raw<float>({1, 2, 3, 4});
  const Good rows[] = {
      {&kOne, R"({"instances": [[1, 2], [3, 4]]})", {{2, 2}}, {four}},
      {&kOne, R"({"signature_name": "any", "instances": [[1, 2]], "z": {}})", {{1, 2}}, {two}},
      {&kOne, R"({"instances": [{"x": [1, 2]}, {"x": [3, 4]}]})", {{2, 2}}, {four}},
      {&kOne, R"({"inputs": [[1, 2], [3, 4]]})", {{2, 2}}, {four}},
      {&kOne, R"({"inputs": {"x": [[1, 2]]}})", {{1, 2}}, {two}},
      {&kScalars, R"({"instances": [1, 2]})", {{2}}, {Raw<int64_t>({1, 2})}},
      {&kScalars, R"({"instances": [{"x": 1}, {"x": 2}]})", {{2}}, {Raw<int64_t>({1, 2})}},
      {&kScalars, R"({"inputs": 5})", {{}}, {Raw<int64_t>({5})}},
      {&kScalars, R"({"instances": []})", {{0}}, {""}},
      {&kTexts, R"({"instances": ["a", {"b64": "aGk="}]})", {{2}}, {RawTexts({"a", "hi"})}},
      {&kTexts, R"({"instances": [{"b64": "aGk="}, "a"]})", {{2}}, {RawTexts({"hi", "a"})}},
      {&kTexts, R"({"instances": [{"t": {"b64": "/w=="}}]})", {{1}}, {RawTexts({"\xff"})}},
      {&kTexts, R"({"inputs": {"b64": "aGk="}})", {{}}, {RawTexts({"hi"})}},
      {&kTwo,
       R"({"instances": [{"a": [1, 2], "b": "p"}, {"b": "q", "a": [3, 4]}]})",
       {{2, 2}, {2}},
       {four, RawTexts({"p", "q"})}},
      {&kTwo, R"({"inputs": {"b": ["p"], "a": [[1, 2]]}})", {{1, 2}, {1}}, {two, RawTexts({"p"})}},
  };
  RestCodec codec;
  for (const Good& row : rows) {
    ReadCase read;
    read.Take(codec.ReadV1Predict({"m", "", {}, row.body}, *row.model));
    Check(read, row);
    const bool columns = row.body.find("\"inputs\"") != std::string::npos;
    CHECK(read.form.kind ==
          (columns ? AnswerForm::Kind::kOutputs : AnswerForm::Kind::kPredictions));
  }
}

TEST_CASE("Plain: x is a row or rows, flat or not", "[gateway][rest]") {
  const std::string two = Raw<float>({1, 2}), four = Raw<float>({1, 2, 3, 4});
  const std::string image = Raw<uint8_t>({1, 2, 3, 4});
  const Good rows[] = {
      {&kOne, R"({"x": [1, 2]})", {{1, 2}}, {two}, true},
      {&kOne, R"({"x": [[1, 2]]})", {{1, 2}}, {two}},
      {&kOne, R"({"x": [[1, 2], [3, 4]], "other": 1})", {{2, 2}}, {four}},
      {&kScalars, R"({"x": 7})", {{1}}, {Raw<int64_t>({7})}, true},
      {&kScalars, R"({"x": [7, 8]})", {{2}}, {Raw<int64_t>({7, 8})}},
      {&kImages, R"({"x": [[1, 2], [3, 4]]})", {{1, 2, 2}}, {image}, true},
      {&kImages, R"({"x": [1, 2, 3, 4]})", {{1, 2, 2}}, {image}, true},
      {&kImages, R"({"x": [[1, 2, 3, 4]]})", {{1, 2, 2}}, {image}},
      {&kImages, R"({"x": [[[1, 2], [3, 4]]]})", {{1, 2, 2}}, {image}},
      {&kFixed, R"({"x": [[1, 2], [3, 4]]})", {{2, 2}}, {four}},
      {&kFixed, R"({"x": [1, 2, 3, 4]})", {{2, 2}}, {four}},
      {&kTexts, R"({"x": "hi"})", {{1}}, {RawTexts({"hi"})}, true},
  };
  RestCodec codec;
  for (const Good& row : rows) {
    ReadCase read;
    read.Take(codec.ReadPlainPredict({"m", "", {}, row.body}, *row.model));
    Check(read, row);
    CHECK(read.form.kind == AnswerForm::Kind::kPlain);
  }
}

struct Bad {
  const ModelSpec* model;
  std::string body, says;
};

void CheckBad(const ReadCase& read, const Bad& row) {
  INFO(row.body << ' ' << read.Text());
  CHECK(read.status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(read.Says(row.says));
}

TEST_CASE("V1: what is wrong is named", "[gateway][rest]") {
  const Bad rows[] = {
      {&kOne, "{}", "has neither"},
      {&kOne, R"({"instances": [], "inputs": []})", "has both"},
      {&kOne, R"({"instances": [], "instances": []})", "came twice"},
      {&kOne, R"({"instances": 5})", "a list of instances"},
      {&kOne, R"({"instances": [[1, 2], [3]]})", "instances[x] has lists of unequal lengths"},
      {&kOne, R"({"instances": [["a"]]})", "expected FP32"},
      {&kOne, R"({"instances": [[1, 2]]} ,)", "the end of the JSON"},
      {&kOne, R"({"instances": [{"y": [1, 2]}]})", "'y', which is no input"},
      {&kOne, R"({"instances": [{"x": [1], "x": [2]}]})", "has 'x' twice"},
      {&kOne, R"({"instances": [{"x": [1, 2]}, {"x": [1]}]})", "of the shape [1]"},
      {&kOne, R"({"instances": [{"x": [1, 2]}, [1, 2]]})", "an object"},
      {&kTwo, R"({"instances": [[1, 2]]})", "the model takes 2 inputs: 'a', 'b'"},
      {&kTwo, R"({"instances": [{"a": [1, 2]}]})", "has 1 of the model's inputs"},
      {&kTwo, R"({"inputs": {"a": [[1, 2]]}})", "has no 'b'"},
      {&kTwo, R"({"inputs": {"a": [], "a": []}})", "has 'a' twice"},
      {&kTexts, R"({"instances": [{"b64": "*"}]})", "an object"},
      {&kTexts, R"({"instances": ["a", {"b64": "aGk=", "c": 1}]})", "an object"},
      {&kTexts, R"({"instances": ["a", {}]})", "an object"},
      {&kOne, R"({"signature_name": 5, "instances": []})", "a string"},
  };
  RestCodec codec;
  for (const Bad& row : rows) {
    ReadCase read;
    read.Take(codec.ReadV1Predict({"m", "", {}, row.body}, *row.model));
    CheckBad(read, row);
  }
}

TEST_CASE("Plain: what is wrong is named", "[gateway][rest]") {
  const Bad rows[] = {
      {&kOne, "", "an object"},
      {&kOne, "[1, 2]", "an object"},
      {&kOne, R"({"y": 1})", "no 'x'"},
      {&kOne, R"({"x": [1, 2], "x": [1, 2]})", "came twice"},
      {&kOne, R"({"x": 5})", "shape []; the model takes [-1,2]"},
      {&kOne, R"({"x": [1, 2, 3]})", "shape [3]; the model takes [-1,2]"},
      {&kOne, R"({"x": [1, NaN]})", "x has NaN at element 1"},
      {&kTwo, R"({"x": [1, 2]})", "takes 2 inputs"},
      {&kFixed, R"({"x": [[1, 2]]})", "shape [1,2]; the model takes [2,2]"},
  };
  RestCodec codec;
  for (const Bad& row : rows) {
    ReadCase read;
    read.Take(codec.ReadPlainPredict({"m", "", {}, row.body}, *row.model));
    CheckBad(read, row);
  }
}

}  // namespace
}  // namespace torchfleet::gateway::rest
