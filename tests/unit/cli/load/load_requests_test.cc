#include "cli/load/load_requests.h"

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "tests/fakes/temporary_folder.h"

namespace torchfleet::cli {
namespace {

using wire::DataType;
using Requests = std::vector<inference::ModelInferRequest>;

const InputSpec kRows{"x", DataType::kFp32, {-1, 2}};
const InputSpec kTexts{"text", DataType::kBytes, {-1, 1}};

std::vector<int64_t> Shape(const inference::ModelInferRequest& request, int input = 0) {
  const auto& shape = request.inputs(input).shape();
  return {shape.begin(), shape.end()};
}

std::vector<float> Floats(const std::string& bytes) {
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::memcpy(floats.data(), bytes.data(), bytes.size());
  return floats;
}

Requests Made(const std::vector<InputSpec>& specs, const RequestOptions& options) {
  const auto requests = MakeRequests(specs, options);
  CAPTURE(std::string(requests.status().message()));
  REQUIRE(requests.ok());
  return *requests;
}

std::string Refused(const std::vector<InputSpec>& specs, const RequestOptions& options) {
  const auto requests = MakeRequests(specs, options);
  REQUIRE(absl::IsInvalidArgument(requests.status()));
  return std::string(requests.status().message());
}

TEST_CASE("MakeRequests: made data fit any model", "[cli][load]") {
  const std::vector<InputSpec> specs = {{"x", DataType::kFp32, {-1, 3}},
                                        {"half", DataType::kFp16, {-1, -1, 2}},
                                        {"index", DataType::kInt64, {-1, 2}},
                                        {"mask", DataType::kBool, {-1}},
                                        kTexts};
  const auto requests = Made(specs, {.model = "m", .version = "7", .inputs = {}, .batch = 4});
  REQUIRE(requests.size() == 1);
  const auto& request = requests[0];
  CHECK(request.model_name() == "m");
  CHECK(request.model_version() == "7");
  CHECK(request.id().empty());
  CHECK(Shape(request, 0) == std::vector<int64_t>{4, 3});
  CHECK(Shape(request, 1) == std::vector<int64_t>{4, 1, 2});
  CHECK(request.inputs(1).datatype() == "FP16");
  const auto x = Floats(request.raw_input_contents(0));
  REQUIRE(x.size() == 12);
  for (const float value : x) CHECK((value >= 0 && value <= 1));
  CHECK(x[0] != x[1]);
  CHECK(request.raw_input_contents(1).size() == 16);
  CHECK(request.raw_input_contents(2) == std::string(64, '\0'));
  CHECK(request.raw_input_contents(3) == std::string(4, '\0'));
  CHECK(request.raw_input_contents(4) == std::string(16, '\0'));  // four empty ones
}

TEST_CASE("MakeRequests: one row unless a batch is asked for; the seed says which data",
          "[cli][load]") {
  const auto one = Made({kRows}, {.model = "m", .version = "", .inputs = {}, .seed = 1});
  CHECK(Shape(one[0]) == std::vector<int64_t>{1, 2});
  const auto same = Made({kRows}, {.model = "m", .version = "", .inputs = {}, .seed = 1});
  const auto other = Made({kRows}, {.model = "m", .version = "", .inputs = {}, .seed = 2});
  CHECK(one[0].SerializeAsString() == same[0].SerializeAsString());
  CHECK(one[0].SerializeAsString() != other[0].SerializeAsString());
}

TEST_CASE("MakeRequests: given data are sent as they are, or cut into batches", "[cli][load]") {
  RequestOptions options{.model = "m",
                         .version = "",
                         .inputs = {"x=[[1,2],[3,4],[5,6],[7,8],[9,10]]",
                                    R"(text=[["a"],["bcd"],[""],["ef"],["g"]])"}};
  const auto whole = Made({kRows, kTexts}, options);
  REQUIRE(whole.size() == 1);
  CHECK(Shape(whole[0]) == std::vector<int64_t>{5, 2});
  options.batch = 2;
  const auto cut = Made({kRows, kTexts}, options);
  REQUIRE(cut.size() == 3);
  CHECK(Shape(cut[0]) == std::vector<int64_t>{2, 2});
  CHECK(Floats(cut[0].raw_input_contents(0)) == std::vector<float>{1, 2, 3, 4});
  CHECK(cut[0].raw_input_contents(1) == std::string("\1\0\0\0a\3\0\0\0bcd", 12));
  CHECK(cut[1].raw_input_contents(1) == std::string("\0\0\0\0\2\0\0\0ef", 10));
  CHECK(Shape(cut[2], 1) == std::vector<int64_t>{1, 1});
  CHECK(Floats(cut[2].raw_input_contents(0)) == std::vector<float>{9, 10});
  CHECK(cut[2].raw_input_contents(1) == std::string("\1\0\0\0g", 5));
}

TEST_CASE("MakeRequests: an input that is given twice takes turns, beside one for all",
          "[cli][load]") {
  const auto requests =
      Made({kRows, kTexts},
           {.model = "m", .version = "", .inputs = {"x=[1,2]", R"(text=[["t"]])", "x=[3,4]"}});
  REQUIRE(requests.size() == 2);
  CHECK(Floats(requests[0].raw_input_contents(0)) == std::vector<float>{1, 2});
  CHECK(Floats(requests[1].raw_input_contents(0)) == std::vector<float>{3, 4});
  CHECK(requests[0].raw_input_contents(1) == requests[1].raw_input_contents(1));
}

TEST_CASE("MakeRequests: what does not fit is said", "[cli][load]") {
  const auto with = [](std::vector<std::string> inputs, int64_t batch = 0) {
    return RequestOptions{.model = "m", .version = "", .inputs = std::move(inputs), .batch = batch};
  };
  CHECK(Refused({kRows, kTexts}, with({"x=[1,2]"})) ==
        "input 'text' is not given; give all inputs, or none to have them made");
  CHECK(Refused({kRows, kTexts},
                with({"x=[1,2]", "x=[3,4]", "x=[5,6]", R"(text=["a"])", R"(text=["b"])"})) ==
        "input 'text' has data for 2 requests, another input for 3; expected as many, or one for "
        "all");
  const InputSpec fixed{"x", DataType::kFp32, {2}}, single{"x", DataType::kFp32, {}};
  for (const InputSpec& spec : {fixed, single}) {
    CHECK(Refused({spec}, with({}, 3)) ==
          "--batch is for inputs whose first dimension varies; that of 'x' does not");
  }
  CHECK(Refused({kRows}, with({"x=[1,2,3]"})) == "input 'x' has shape [3]; the model takes [-1,2]");
  CHECK(Refused({kRows}, with({"z=[1,2]"})).find("none of the model's inputs") !=
        std::string::npos);
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{1 << 12, (1 << 12) + 1}, {1 << 20, int64_t{1} << 62}}) {
    CHECK(Refused({{"x", DataType::kFp32, shape}}, with({})) ==
          "input 'x' has over 16777216 elements; give it with --input");
  }
}

TEST_CASE("RequestAsJson: asks what the message does", "[cli][load]") {
  const auto requests = Made(
      {kRows, kTexts},
      {.model = "m", .version = "3", .inputs = {"x=[[1,2.5],[3,4]]", R"(text=[["é\""],[""]])"}});
  const auto document = RequestAsJson(requests[0]);
  REQUIRE(document.ok());
  CHECK(nlohmann::json::parse(*document) == nlohmann::json::parse(R"({"inputs":[
    {"name":"x","datatype":"FP32","shape":[2,2],"data":[[1.0,2.5],[3.0,4.0]]},
    {"name":"text","datatype":"BYTES","shape":[2,1],"data":[["é\""],[""]]}]})"));
  CHECK(document->starts_with("{\"inputs\""));  // an id goes before it
}

TEST_CASE("MakeRequests: a file has a request a line", "[cli][load]") {
  const TemporaryFolder folder;
  folder.Write("some",
               "{\"x\": [[1, 2]], \"text\": [[\"a\"]]}\n\n"
               "{\"text\": [[\"b\"], [\"c\"]], \"x\": [[3, 4], [5, 6]]}");
  const auto requests = Made(
      {kRows, kTexts}, {.model = "m", .version = "", .inputs = {}, .file = folder.path() / "some"});
  REQUIRE(requests.size() == 2);
  CHECK(requests[1].model_name() == "m");
  CHECK(Shape(requests[0]) == std::vector<int64_t>{1, 2});
  CHECK(Shape(requests[1]) == std::vector<int64_t>{2, 2});
  CHECK(Shape(requests[1], 1) == std::vector<int64_t>{2, 1});
  CHECK(Floats(requests[1].raw_input_contents(0)) == std::vector<float>{3, 4, 5, 6});
}

TEST_CASE("MakeRequests: says which line of a file is no request", "[cli][load]") {
  const TemporaryFolder folder;
  const auto of = [&](const std::string& text, std::vector<std::string> inputs = {}) {
    folder.Write("some", text);
    const std::string message = Refused(
        {kRows},
        {.model = "m", .version = "", .inputs = std::move(inputs), .file = folder.path() / "some"});
    return message.substr(message.rfind("some") + 4);
  };
  CHECK(of("{\"x\": [[1, 2]]}\n[1, 2]") ==
        ": line 2: expected a JSON object with the inputs by name");
  CHECK(of("{\"x\": [[1, 2]]") == ": line 1: expected a JSON object with the inputs by name");
  CHECK(of("{\"y\": [[1, 2]]}") == ": line 1: input 'x' is not given");
  CHECK(of("{\"x\": [[1, 2]], \"y\": 1}") == ": line 1: 2 inputs are given; the model takes 1");
  CHECK(of("{\"x\": [[1, 2, 3]]}") ==
        ": line 1: input 'x' has shape [1,3]; the model takes [-1,2]");
  CHECK(of("\n \n") == " has no requests");
  CHECK(
      Refused(
          {kRows},
          {.model = "m", .version = "", .inputs = {"x=[[1,2]]"}, .file = folder.path() / "some"}) ==
      "--requests has whole requests; give no --input or --batch");
}

}  // namespace
}  // namespace torchfleet::cli
