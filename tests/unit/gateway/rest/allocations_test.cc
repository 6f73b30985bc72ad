#include <catch2/catch_test_macros.hpp>
#include <string>

#include "gateway/protocol/rest/rest_codec.h"
#include "tests/unit/gateway/rest/rest_case.h"
#include "tests/unit/wire/allocations.h"

namespace torchfleet::gateway::rest {
namespace {

TEST_CASE("RestCodec: calls of usual size allocate nothing", "[gateway][rest]") {
  const ModelSpec spec = {"m", {}, "", {{"x", wire::DataType::kFp32, {-1, 784}}}, {}};
  std::string row = "[0.5";
  for (int i = 1; i < 784; ++i) row += ", " + std::to_string(i) + ".25";
  row += "]";
  const std::string infer = R"({"id": "7", "inputs": [{"name": "x", "shape": [1, 784], )"
                            R"("datatype": "FP32", "data": )" +
                            row + R"(}], "outputs": [{"name": "y"}]})";
  const std::string instances = R"({"instances": [)" + row + "]}";
  const std::string plain = R"({"x": )" + row + "}";
  const std::string response =
      Response({{"y", "FP32", {1, 4}, Raw<float>({0.1F, 0.2F, 0.3F, 0.4F})}});
  RestCodec codec;
  const auto calls = [&] {
    bool ok = codec.ReadInfer({"m", "", {}, infer}, nullptr).ok();
    ok = codec.ReadV1Predict({"m", "", {}, instances}, spec).ok() && ok;
    ok = codec.ReadPlainPredict({"m", "", {}, plain}, spec).ok() && ok;
    return codec.WriteAnswer(response, {}).ok() && ok;
  };
  REQUIRE(calls());
  REQUIRE(calls());
  const size_t before = wire::Allocations();
  const bool ok = calls();
  const size_t after = wire::Allocations();
  CHECK(ok);
  CHECK(after == before);
}

}  // namespace
}  // namespace torchfleet::gateway::rest
