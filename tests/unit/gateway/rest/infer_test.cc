#include <catch2/catch_test_macros.hpp>
#include <limits>
#include <string>

#include "gateway/protocol/rest/http_status.h"
#include "tests/unit/gateway/rest/rest_case.h"

namespace torchfleet::gateway::rest {
namespace {

void ReadInfer(RestCodec& codec, const std::string& body, ReadCase& read,
               std::optional<std::string_view> length = {}, const ModelSpec* spec = nullptr) {
  read.Take(codec.ReadInfer({"m", "3", length, body}, spec));
}

// {"inputs": [...]} around one input.
std::string OneInput(const std::string& datatype, const std::string& shape,
                     const std::string& data) {
  return R"({"inputs":[{"name":"x","shape":)" + shape + R"(,"datatype":")" + datatype +
         R"(","data":)" + data + "}]}";
}

TEST_CASE("Infer: a body becomes a request", "[gateway][rest]") {
  RestCodec codec;
  ReadCase read;
  ReadInfer(codec, R"( {
    "id": "a\u00e9\ud83d\ude00\n",
    "extra": {"x": [1, {"y": null}], "z": "\\"},
    "parameters": {"priority": 1, "big": 18446744073709551615, "low": -9223372036854775808,
                   "temperature": 0.5, "whole": 2.0, "flag": true, "text": "hi",
                   "binary_data_output": true},
    "inputs": [
      {"name": "x", "shape": [2, 2], "datatype": "INT32", "parameters": {"p": "q"},
       "data": [[1, -2], [3, 2147483647]]},
      {"data": ["a", "", "\"\u0000\u20ac"], "shape": [3], "datatype": "BYTES", "name": "s"}],
    "outputs": [{"name": "y", "parameters": {"binary_data": false, "classification": 3}},
                {"name": "z"}]
  } )",
            read);
  REQUIRE(read.status.ok());
  CHECK(read.view.model_name() == "m");
  CHECK(read.view.model_version() == "3");
  CHECK(read.view.id() == "aé😀\n");
  const auto parameters = read.view.parameters();
  REQUIRE(parameters.size() == 7);
  CHECK(*wire::FindParameter(parameters, "priority") == wire::ParameterValue(int64_t{1}));
  CHECK(*wire::FindParameter(parameters, "big") ==
        wire::ParameterValue(std::numeric_limits<uint64_t>::max()));
  CHECK(*wire::FindParameter(parameters, "low") ==
        wire::ParameterValue(std::numeric_limits<int64_t>::min()));
  CHECK(*wire::FindParameter(parameters, "temperature") == wire::ParameterValue(0.5));
  CHECK(*wire::FindParameter(parameters, "whole") == wire::ParameterValue(2.0));
  CHECK(*wire::FindParameter(parameters, "flag") == wire::ParameterValue(true));
  CHECK(*wire::FindParameter(parameters, "text") == wire::ParameterValue(std::string_view("hi")));
  REQUIRE(read.view.inputs().size() == 2);
  const wire::TensorView& x = read.view.inputs()[0];
  CHECK(x.name == "x");
  CHECK(x.datatype == "INT32");
  CHECK(std::vector(x.shape.begin(), x.shape.end()) == std::vector<int64_t>{2, 2});
  REQUIRE(x.parameters.size() == 1);
  CHECK(x.parameters[0].key == "p");
  CHECK(read.view.raw_input_contents()[0] == Raw<int32_t>({1, -2, 3, 2147483647}));
  CHECK(read.view.inputs()[1].name == "s");
  CHECK(read.view.raw_input_contents()[1] == RawTexts({"a", "", std::string("\"\0€", 5)}));
  REQUIRE(read.view.outputs().size() == 2);
  REQUIRE(read.view.outputs()[0].parameters.size() == 1);
  CHECK(read.view.outputs()[0].parameters[0].key == "classification");
  CHECK(read.form.kind == AnswerForm::Kind::kInfer);
  CHECK(!read.form.IsBinary("y"));
  CHECK(read.form.IsBinary("z"));
}

TEST_CASE("Infer: numbers keep their value in every datatype", "[gateway][rest]") {
  struct Row {
    std::string datatype, data, raw;
  };
  const Row rows[] = {
      {"BOOL", "[true, false, 1, 0]", std::string("\1\0\1\0", 4)},
      {"UINT8", "[0, 255, 1.0, 2e1]", Raw<uint8_t>({0, 255, 1, 20})},
      {"UINT16", "[65535]", Raw<uint16_t>({65535})},
      {"UINT32", "[4294967295]", Raw<uint32_t>({4294967295})},
      {"UINT64", "[18446744073709551615, 0]", Raw<uint64_t>({18446744073709551615U, 0})},
      {"INT8", "[-128, 127, -0]", Raw<int8_t>({-128, 127, 0})},
      {"INT16", "[-32768, 32767]", Raw<int16_t>({-32768, 32767})},
      {"INT32", "[-2147483648]", Raw<int32_t>({-2147483647 - 1})},
      {"INT64", "[-9223372036854775808, 9223372036854775807]",
       Raw<int64_t>({std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()})},
      {"FP16", "[1, -2, 65504, 2049, 2051]",
       Raw<uint16_t>({0x3C00, 0xC000, 0x7BFF, 0x6800, 0x6802})},
      {"BF16", "[1, 3.140625, 1e-40]", Raw<uint16_t>({0x3F80, 0x4049, 0x0001})},
      {"FP32", "[0.1, -0.0, 16777217, 3.4028235e38]",
       Raw<float>({0.1F, -0.0F, 16777216.0F, std::numeric_limits<float>::max()})},
      {"FP64", "[0.1, 1e308, 5e-324]", Raw<double>({0.1, 1e308, 5e-324})},
      {"BYTES", R"(["x"])", RawTexts({"x"})},
  };
  RestCodec codec;
  for (const Row& row : rows) {
    INFO(row.datatype);
    const auto count = std::count(row.data.begin(), row.data.end(), ',') + 1;
    ReadCase read;
    ReadInfer(codec, OneInput(row.datatype, "[" + std::to_string(count) + "]", row.data), read);
    INFO(read.Text());
    REQUIRE(read.status.ok());
    CHECK(read.view.raw_input_contents()[0] == row.raw);
  }
}

TEST_CASE("Infer: what is wrong is named, with its place", "[gateway][rest]") {
  struct Row {
    std::string body, says;
  };
  const std::string deep = std::string(101, '[') + std::string(101, ']');
  const Row rows[] = {
      {"", "an object"},
      {"[]", "an object"},
      {"{}", "no 'inputs'"},
      {R"({"inputs":[]} x)", "the end of the JSON"},
      {R"({"inputs":[]}})", "the end of the JSON"},
      {R"({"inputs":[],})", "a name in quotes"},
      {R"({"inputs":[],"inputs":[]})", "'inputs' came twice"},
      {R"({"inputs":[{"name":"x","name":"y"}]})", "'name' came twice"},
      {R"({"inputs":{}})", "a list"},
      {R"({"id":7,"inputs":[]})", "a string"},
      {R"({"id":"\ud800","inputs":[]})", "escapes"},
      {R"({"id":"\x","inputs":[]})", "escapes"},
      {"{\"id\":\"\n\",\"inputs\":[]}", "control character"},
      {"{\"id\":\"\xff\",\"inputs\":[]}", "not UTF-8: at byte 7 came 0xff"},
      {R"({"junk":)" + deep + R"(,"inputs":[]})", "over 100 deep"},
      {R"({"junk":[1 2],"inputs":[]})", "',' or an end"},
      {R"({"junk":nul,"inputs":[]})", "a value"},
      {R"({"junk":01,"inputs":[]})", "a number"},
      {R"({"parameters":{"a":1,"a":2},"inputs":[]})", "'a' came twice"},
      {R"({"parameters":{"a":null},"inputs":[]})", "as parameter 'a'"},
      {R"({"parameters":{"a":1e999},"inputs":[]})", "no 64-bit number"},
      {R"({"parameters":{"binary_data_output":"yes"},"inputs":[]})", "neither true nor false"},
      {R"({"inputs":[{"shape":[1],"datatype":"FP32","data":[1]}]})", "has no name"},
      {R"({"inputs":[{"name":"x","shape":[1],"data":[1]}]})", "has no datatype"},
      {R"({"inputs":[{"name":"x","datatype":"FP32","shape":[1]}]})", "neither data nor"},
      {R"({"inputs":[],"outputs":[{}]})", "has no name"},
      {OneInput("FP8", "[1]", "[1]"), "datatype 'FP8'"},
      {OneInput("FP32", "[1]", "1"), "a list as data"},
      {OneInput("FP32", "[2]", "[1]"), "has 1 elements as data; its shape [2] takes 2"},
      {OneInput("FP32", "[2,2]", "[[1,2,3],[4]]"), "unequal lengths"},
      {OneInput("FP32", "[2,2]", "[[1,2],3]"), "unequal lengths or depths"},
      {OneInput("FP32", "[2,2]", "[[1,2],[[3],[4]]]"), "unequal lengths or depths near element 2"},
      {OneInput("FP32", "[2,2]", "[[],[[]]]"), "unequal lengths or depths"},
      {OneInput("FP32", "[4,1]", "[[1,2],[3,4]]"), "shape [4,1] but data nested as [2,2]"},
      {OneInput("FP32", "[2]", "[1,]"), "element 1"},
      {OneInput("FP32", "[1]", "[1"), "',' or ']'"},
      {OneInput("FP32", "[2]", "[1,[2]]"), "has a list at element 1"},
      {OneInput("FP32", "[1]", "[1;"), "',' or ']'"},
      {OneInput("UINT8", "[3]", "[1,2,300]"),
       "inputs[x] has 300 at element 2; UINT8 holds whole numbers from 0 to 255"},
      {OneInput("UINT8", "[1]", "[-1]"), "has -1 at element 0"},
      {OneInput("INT8", "[1]", "[128]"), "from -128 to 127"},
      {OneInput("INT64", "[1]", "[9223372036854775808]"), "INT64 holds"},
      {OneInput("UINT64", "[1]", "[18446744073709551616]"), "UINT64 holds"},
      {OneInput("INT32", "[1]", "[1.5]"), "has 1.5 at element 0; INT32 holds whole numbers"},
      {OneInput("FP32", "[1]", "[1e39]"), "has 1e39 at element 0; FP32 holds"},
      {OneInput("FP64", "[1]", "[1e999]"), "has 1e999 at element 0; FP64 holds"},
      {OneInput("FP16", "[1]", "[65520]"), "FP16 holds"},
      {OneInput("FP32", "[2]", "[1,NaN]"), "has NaN at element 1, which JSON cannot carry"},
      {OneInput("FP32", "[1]", "[-Infinity]"), "has -Infinity at element 0, which JSON cannot"},
      {OneInput("FP32", "[1]", "[\"1\"]"), "expected FP32: numbers"},
      {OneInput("FP32", "[1]", "[null]"), "has null at element 0"},
      {OneInput("BOOL", "[1]", "[2]"), "BOOL holds true or false"},
      {OneInput("BYTES", "[1]", "[1]"), "expected BYTES: strings"},
      {OneInput("BYTES", "[1]", R"([{"b64":"AA=="}])"), "an object"},
      {OneInput("BYTES", "[1]", R"(["\u12"])"), "at element 0"},
      {OneInput("FP32", "[-1]", "[1]"), "no negative dimension"},
      {OneInput("FP32", "[1.5]", "[1]"), "a dimension"},
      {OneInput("FP32", "[1,1099511627776]", "[1]"), "takes 1099511627776"},
      {OneInput("FP32", "[4294967296,4294967296]", "[]"), "more elements than"},
      {OneInput("FP32", "[0,-1]", "[]"), "no negative dimension"},
      {OneInput("FP32", "[" + std::string(200, '1') + "]", "[]"), "a dimension"},
      {OneInput("FP32", "[1]", std::string(70, '[') + "1" + std::string(70, ']')), "over 64 deep"},
  };
  RestCodec codec;
  for (const Row& row : rows) {
    INFO(row.body.substr(0, 200));
    ReadCase read;
    ReadInfer(codec, row.body, read);
    CHECK(read.status.code() == absl::StatusCode::kInvalidArgument);
    INFO(read.Text());
    CHECK(read.Says(row.says));
  }
}

TEST_CASE("Infer: hostile bodies are refused at once", "[gateway][rest]") {
  RestCodec codec;
  const auto refused = [&](const std::string& body) {
    ReadCase read;
    ReadInfer(codec, body, read);
    return read.status.code() == absl::StatusCode::kInvalidArgument;
  };
  std::string objects;
  for (int i = 0; i < 1'000'000; ++i) objects += R"({"a":)";
  CHECK(refused(objects));
  CHECK(refused(R"({"inputs":[],"x":)" + objects));
  CHECK(refused(R"({"inputs":[],"x":)" + std::string(1'000'000, '[')));
  CHECK(refused(OneInput("FP32", "[1]", std::string(1'000'000, '['))));
  std::string many;
  for (int i = 0; i < 1'000'000; ++i) many += R"({"name":"y"},)";
  CHECK(refused(R"({"inputs":[],"outputs":[)" + many + R"({"name":"y"}]})"));
  std::string dimensions = "1";
  for (int i = 0; i < 100'000; ++i) dimensions += ",1";
  CHECK(refused(OneInput("FP32", "[" + dimensions + "]", "[1]")));
  std::string parameters = R"("p":1)";
  for (int i = 0; i < 100'000; ++i) parameters += ",\"p" + std::to_string(i) + "\":1";
  CHECK(refused(R"({"inputs":[],"parameters":{)" + parameters + "}}"));
  CHECK(refused(OneInput("FP32", "[1]", "[" + std::string(1'000'000, '1') + "]")));
}

TEST_CASE("Infer: a hundred deep is the limit", "[gateway][rest]") {
  RestCodec codec;
  const auto nested = [](size_t depth) {
    return R"({"inputs":[],"x":)" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  ReadCase at, over;
  ReadInfer(codec, nested(100), at);
  ReadInfer(codec, nested(101), over);
  CHECK(at.status.ok());
  CHECK(over.status.code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("Infer: zero elements are taken as they come", "[gateway][rest]") {
  RestCodec codec;
  for (const auto& [shape, data] : {std::pair<std::string, std::string>{"[0]", "[]"},
                                    {"[0,784]", "[]"},
                                    {"[2,0]", "[[],[]]"},
                                    {"[0,4294967296,4294967296]", "[]"}}) {
    ReadCase read;
    ReadInfer(codec, OneInput("FP32", shape, data), read);
    INFO(shape << ' ' << read.Text());
    REQUIRE(read.status.ok());
    CHECK(read.view.raw_input_contents()[0].empty());
  }
}

TEST_CASE("Infer: binary tensors are passed on where they lie", "[gateway][rest]") {
  RestCodec codec;
  const std::string json = R"({"inputs":[
    {"name":"a","shape":[2],"datatype":"FP32","parameters":{"binary_data_size":8}},
    {"name":"j","shape":[1],"datatype":"INT8","data":[7]},
    {"name":"b","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":5,"k":1}}]})";
  const std::string body = json + Raw<float>({1, 2}) + RawTexts({"x"});
  const std::string length = std::to_string(json.size());
  ReadCase read;
  ReadInfer(codec, body, read, length);
  INFO(read.Text());
  REQUIRE(read.status.ok());
  CHECK(read.view.raw_input_contents()[0] == Raw<float>({1, 2}));
  CHECK(read.view.raw_input_contents()[1] == "\7");
  CHECK(read.view.raw_input_contents()[2] == RawTexts({"x"}));
  CHECK(read.view.inputs()[0].parameters.empty());
  CHECK(read.view.inputs()[2].parameters.size() == 1);

  struct Row {
    std::string body, length, says;
  };
  const auto input = [](const std::string& rest) {
    return R"({"inputs":[{"name":"a","shape":[2],"datatype":"FP32",)" + rest + "}]}";
  };
  const std::string eight = input(R"("parameters":{"binary_data_size":8})");
  const std::string four = input(R"("parameters":{"binary_data_size":4})");
  const std::string both = input(R"("data":[1,2],"parameters":{"binary_data_size":8})");
  const std::string negative = input(R"("parameters":{"binary_data_size":-8})");
  const std::string raw(8, 'x');
  const Row rows[] = {
      {eight + raw, "x", "expected the length of the JSON"},
      {eight + raw, "", "expected the length of the JSON"},
      {eight + raw, "-5", "expected the length of the JSON"},
      {eight + raw, "99999", "expected the length of the JSON"},
      {eight + raw, "99999999999999999999999", "expected the length of the JSON"},
      {eight + raw, std::to_string(eight.size() - 1), "expected"},
      {eight + raw, std::to_string(eight.size() + 1), "7 bytes are left"},
      {eight + raw + "y", std::to_string(eight.size()), "1 bytes follow"},
      {eight + "1234", std::to_string(eight.size()), "4 bytes are left"},
      {four + "1234", std::to_string(four.size()), "has 4 bytes of data; 2 elements of FP32"},
      {both + raw, std::to_string(both.size()), "both data and binary_data_size"},
      {negative, std::to_string(negative.size()), "no number of bytes"},
      {eight, std::to_string(eight.size()), "0 bytes are left"},
  };
  for (const Row& row : rows) {
    ReadCase wrong;
    ReadInfer(codec, row.body, wrong, row.length);
    INFO(row.length << ' ' << wrong.Text());
    CHECK(wrong.status.code() == absl::StatusCode::kInvalidArgument);
    CHECK(wrong.Says(row.says));
  }
}

TEST_CASE("Infer: a length of 0 means one tensor and nothing else", "[gateway][rest]") {
  RestCodec codec;
  const auto spec = [](wire::DataType datatype, std::vector<int64_t> shape) {
    return ModelSpec{"m", {}, "", {{"x", datatype, std::move(shape)}}, {}};
  };
  struct Row {
    ModelSpec model;
    size_t bytes;
    std::vector<int64_t> shape;
  };
  const Row rows[] = {
      {spec(wire::DataType::kFp32, {-1, 2}), 8, {1, 2}},
      {spec(wire::DataType::kFp32, {-1, -1}), 12, {1, 3}},
      {spec(wire::DataType::kFp16, {4, -1}), 16, {4, 2}},
      {spec(wire::DataType::kUint8, {3}), 3, {3}},
      {spec(wire::DataType::kBytes, {-1, 1}), 5, {1, 1}},
  };
  for (const Row& row : rows) {
    const std::string body(row.bytes, 'z');
    ReadCase read;
    ReadInfer(codec, body, read, "0", &row.model);
    INFO(read.Text());
    REQUIRE(read.status.ok());
    const auto shape = read.view.inputs()[0].shape;
    CHECK(std::vector(shape.begin(), shape.end()) == row.shape);
    const bool is_bytes = row.model.inputs[0].datatype == wire::DataType::kBytes;
    CHECK(read.view.raw_input_contents()[0] == (is_bytes ? RawTexts({body}) : body));
    CHECK(read.form.IsBinary("anything"));
  }
  const Row wrong[] = {
      {spec(wire::DataType::kFp32, {-1, 2}), 9, {}},
      {spec(wire::DataType::kFp32, {2, -1, -1}), 8, {}},
      {spec(wire::DataType::kFp32, {-1, 0}), 8, {}},
      {spec(wire::DataType::kBytes, {2}), 8, {}},
      {ModelSpec{"m", {}, "", {{}, {}}, {}}, 8, {}},
  };
  for (const Row& row : wrong) {
    ReadCase read;
    ReadInfer(codec, std::string(row.bytes, 'z'), read, "0", &row.model);
    CHECK(read.status.code() == absl::StatusCode::kInvalidArgument);
  }
  ReadCase unknown;
  ReadInfer(codec, "zzzz", unknown, "0", nullptr);
  CHECK(unknown.status.code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("Infer: a request over the limit is 413", "[gateway][rest]") {
  RestCodec codec(RestLimits{.message_bytes = 1000});
  std::string data = "[0";
  for (int i = 1; i < 1000; ++i) data += ",0";
  ReadCase read;
  ReadInfer(codec, OneInput("FP64", "[1000]", data + "]"), read);
  CHECK(HttpErrorOf(read.status).code == 413);
  ReadCase fits;
  ReadInfer(codec, OneInput("UINT8", "[3]", "[1,2,3]"), fits);
  CHECK(fits.status.ok());
}

}  // namespace
}  // namespace torchfleet::gateway::rest
