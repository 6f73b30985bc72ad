#include "cli/infer/answer_text.h"

#include <catch2/catch_test_macros.hpp>
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

TEST_CASE("AnswerAsJson: an answer that contradicts itself is an error", "[cli][infer]") {
  inference::ModelInferResponse response = AnAnswer({1, 2}, 1);
  response.clear_raw_output_contents();
  CHECK(absl::IsInternal(AnswerAsJson(response).status()));
  CHECK(absl::IsInternal(AnswerAsTable(response).status()));
}

}  // namespace
}  // namespace torchfleet::cli
