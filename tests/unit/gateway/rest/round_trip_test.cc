// Random tensors of every datatype, there and back: raw → JSON → raw is exact,
// and so is the JSON that comes back.

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "gateway/protocol/rest/half_float.h"
#include "tests/unit/gateway/rest/rest_case.h"
#include "wire/datatype.h"

namespace torchfleet::gateway::rest {
namespace {

using wire::DataType;

class RandomTensor {
 public:
  explicit RandomTensor(uint64_t seed) : random_(seed) {}

  OutputCase Next(DataType datatype) {
    OutputCase tensor = {"x", std::string(DataTypeName(datatype)), {}, ""};
    const size_t rank = 1 + Below(4);
    int64_t count = 1;
    for (size_t i = 0; i < rank; ++i) {
      tensor.shape.push_back(static_cast<int64_t>(Below(6) == 0 ? 0 : 1 + Below(5)));
      count *= tensor.shape.back();
    }
    for (int64_t i = 0; i < count; ++i) tensor.data += Element(datatype);
    return tensor;
  }

  uint64_t Below(uint64_t n) { return random_() % n; }

 private:
  std::string Element(DataType datatype) {
    if (datatype == DataType::kBytes) return RawTexts({Text()});
    uint64_t bits = random_();
    if (Below(4) == 0) bits >>= Below(64);
    if (Below(8) == 0) bits = Below(2) == 0 ? 0 : ~uint64_t{0};
    if (datatype == DataType::kBool) bits &= 1;
    std::string element(reinterpret_cast<const char*>(&bits), ElementSize(datatype));
    return IsFinite(datatype, element) ? element : std::string(element.size(), '\0');
  }

  static bool IsFinite(DataType datatype, const std::string& element) {
    const auto as = [&]<typename T>(T value) {
      std::memcpy(&value, element.data(), sizeof(value));
      return value;
    };
    if (datatype == DataType::kFp32) return std::isfinite(as(0.0F));
    if (datatype == DataType::kFp64) return std::isfinite(as(0.0));
    if (datatype == DataType::kFp16) return (as(uint16_t{0}) & 0x7FFF) < kFp16.infinity;
    if (datatype == DataType::kBf16) return (as(uint16_t{0}) & 0x7FFF) < kBf16.infinity;
    return true;
  }

  std::string Text() {
    static const std::string kPieces[] = {"a", "\"", "\\", "\n",   std::string(1, '\0'),
                                          "ü", "€",  "😀",  "\x7f", "\xEF\xBF\xBF",
                                          "/", "}",  "]"};
    std::string text;
    while (Below(6) != 0) text += kPieces[Below(std::size(kPieces))];
    return text;
  }

  std::mt19937_64 random_;
};

std::string ShapeJson(const std::vector<int64_t>& shape) { return nlohmann::json(shape).dump(); }

// The tensor's JSON in one of the forms, taken from the answer of that form.
std::string DataJson(RestCodec& codec, const std::string& response, bool flat) {
  AnswerForm form;
  form.kind = flat ? AnswerForm::Kind::kInfer : AnswerForm::Kind::kOutputs;
  const auto answer = codec.WriteAnswer(response, form);
  REQUIRE(answer.ok());
  const std::string json = Joined(answer->pieces);
  REQUIRE(nlohmann::json::accept(json));
  const std::string before = flat ? "\"data\":" : "\"outputs\":";
  const size_t begin = json.find(before) + before.size();
  return json.substr(begin, json.size() - begin - (flat ? 3 : 1));
}

TEST_CASE("Round trip: raw to JSON to raw is exact in every datatype", "[gateway][rest]") {
  RestCodec codec;
  RandomTensor random(7);
  for (const DataType datatype : wire::kAllDataTypes) {
    for (int i = 0; i < 400; ++i) {
      const OutputCase tensor = random.Next(datatype);
      const std::string response = Response({tensor});
      for (const bool flat : {true, false}) {
        const std::string data = DataJson(codec, response, flat);
        INFO(tensor.datatype << ' ' << ShapeJson(tensor.shape) << ' ' << data);
        ReadCase infer;
        const std::string name = R"("name":"x",)", type = R"("datatype":")" + tensor.datatype + '"';
        const std::string shape = R"("shape":)" + ShapeJson(tensor.shape) + ",";
        const std::string members = i % 2 == 0 ? name + shape + type + R"(,"data":)" + data
                                               : R"("data":)" + data + "," + name + shape + type;
        // An empty nested tensor has no lists under its first empty ones.
        const bool empty = tensor.data.empty() && !flat;
        if (!empty) {
          const std::string body = R"({"inputs":[{)" + members + "}]}";
          infer.Take(codec.ReadInfer({"m", "", {}, body}, nullptr));
          INFO(infer.Text());
          REQUIRE(infer.status.ok());
          REQUIRE(infer.view.raw_input_contents()[0] == tensor.data);
        }
        if (flat || empty) continue;
        const ModelSpec spec = {"m", {}, "", {{"x", datatype, tensor.shape}}, {}};
        ReadCase columns;
        const std::string body = R"({"inputs":)" + data + "}";
        columns.Take(codec.ReadV1Predict({"m", "", {}, body}, spec));
        REQUIRE(columns.status.ok());
        REQUIRE(columns.view.raw_input_contents()[0] == tensor.data);
        const auto read = columns.view.inputs()[0].shape;
        REQUIRE(std::vector(read.begin(), read.end()) == tensor.shape);
      }
    }
  }
}

TEST_CASE("Round trip: white space changes nothing", "[gateway][rest]") {
  RestCodec codec;
  RandomTensor random(9);
  for (const DataType datatype : wire::kAllDataTypes) {
    OutputCase tensor = random.Next(datatype);
    while (tensor.data.empty()) tensor = random.Next(datatype);
    const std::string response = Response({tensor});
    const std::string data = nlohmann::json::parse(DataJson(codec, response, false)).dump(3);
    ReadCase read;
    const std::string body = "\t{ \"inputs\" : \r\n" + data + " } \n";
    const ModelSpec spec = {"m", {}, "", {{"x", datatype, tensor.shape}}, {}};
    read.Take(codec.ReadV1Predict({"m", "", {}, body}, spec));
    INFO(read.Text());
    REQUIRE(read.status.ok());
    CHECK(read.view.raw_input_contents()[0] == tensor.data);
  }
}

}  // namespace
}  // namespace torchfleet::gateway::rest
