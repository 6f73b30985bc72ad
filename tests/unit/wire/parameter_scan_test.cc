#include "wire/parameter_scan.h"

#include <catch2/catch_test_macros.hpp>

#include "inference/grpc_service.pb.h"

namespace torchfleet::wire {
namespace {

inference::ModelInferRequest Request() {
  inference::ModelInferRequest request;
  request.set_model_name("mnist");
  request.set_id("7");
  auto& parameters = *request.mutable_parameters();
  parameters["yes"].set_bool_param(true);
  parameters["no"].set_bool_param(false);
  parameters["below"].set_int64_param(-12);
  parameters["large"].set_uint64_param(18446744073709551615U);
  parameters["half"].set_double_param(0.5);
  parameters["tenant"].set_string_param("blue");
  request.add_inputs()->set_name("x");
  return request;
}

TEST_CASE("FindParameter: every kind as text", "[wire][parameters]") {
  const std::string bytes = Request().SerializeAsString();
  CHECK(FindParameter(bytes, "yes") == "true");
  CHECK(FindParameter(bytes, "no") == "false");
  CHECK(FindParameter(bytes, "below") == "-12");
  CHECK(FindParameter(bytes, "large") == "18446744073709551615");
  CHECK(FindParameter(bytes, "half") == "0.5");
  CHECK(FindParameter(bytes, "tenant") == "blue");
  CHECK_FALSE(FindParameter(bytes, "none"));
  CHECK_FALSE(FindParameter("", "yes"));
}

TEST_CASE("FindParameter: the beginning is enough, and no beginning is too much for it",
          "[wire][parameters]") {
  auto request = Request();
  request.add_raw_input_contents(std::string(1 << 16, 'x'));
  const std::string bytes = request.SerializeAsString();
  CHECK(FindParameter(std::string_view(bytes).substr(0, 200), "tenant") == "blue");
  for (size_t cut = 0; cut < 200; ++cut) {
    const auto found = FindParameter(std::string_view(bytes).substr(0, cut), "tenant");
    CHECK((!found || *found == "blue"));
  }
}

TEST_CASE("FindParameter: the last of two counts", "[wire][parameters]") {
  inference::ModelInferRequest second;
  (*second.mutable_parameters())["tenant"].set_string_param("green");
  const std::string twice = [&] {
    inference::ModelInferRequest first;
    (*first.mutable_parameters())["tenant"].set_string_param("blue");
    return first.SerializeAsString() + second.SerializeAsString();
  }();
  CHECK(FindParameter(twice, "tenant") == "green");
}

}  // namespace
}  // namespace torchfleet::wire
