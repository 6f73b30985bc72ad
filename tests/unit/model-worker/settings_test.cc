#include "model-worker/load/settings.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace torchfleet::worker {
namespace {

using Catch::Matchers::ContainsSubstring;

TEST_CASE("ReadSettings: switches as people write them", "[worker][load]") {
  for (const char* name : {"INFERENCE_MODE", "DISABLE_OPTIMIZED_EXECUTION", "ADAPTIVE_BATCHING"}) {
    for (const char* on : {"true", "True", "1", "on", "yes"}) {
      std::map<std::string, std::string> parameters = {{name, on}};
      REQUIRE(ReadSettings(parameters).ok());
      CHECK(parameters[name] == "true");
    }
    for (const char* off : {"false", "FALSE", "0", "off", "no"}) {
      std::map<std::string, std::string> parameters = {{name, off}};
      REQUIRE(ReadSettings(parameters).ok());
      CHECK(parameters[name] == "false");
    }
    for (const char* neither : {"", "2", "perhaps", " true"}) {
      std::map<std::string, std::string> parameters = {{name, neither}};
      const absl::Status status = ReadSettings(parameters);
      CHECK(absl::IsInvalidArgument(status));
      CHECK_THAT(std::string(status.message()), ContainsSubstring(name));
    }
  }
}

TEST_CASE("ReadSettings: numbers of threads", "[worker][load]") {
  for (const char* name : {"INTRA_OP_THREAD_COUNT", "INTER_OP_THREAD_COUNT"}) {
    for (const char* value : {"1", "8", "4096"}) {
      std::map<std::string, std::string> parameters = {{name, value}};
      CHECK(ReadSettings(parameters).ok());
    }
    for (const char* value : {"", "0", "-1", "4097", "many", "1.5", "2x", "99999999999"}) {
      std::map<std::string, std::string> parameters = {{name, value}};
      CHECK_THAT(std::string(ReadSettings(parameters).message()), ContainsSubstring(name));
    }
  }
}

TEST_CASE("Unheeded: parameters in capitals that nothing reads", "[worker][load]") {
  CHECK(Unheeded({{"ENABLE_NVFUSER", "false"},
                  {"INFERENCE_MODE", "true"},
                  {"MODEL_SHA256", "0"},
                  {"PADDED_INPUT", "x:1"},
                  {"PADDED_INPUTS", "x:1"},
                  {"labels of my own", "x"}}) ==
        std::vector<std::string>{"ENABLE_NVFUSER", "PADDED_INPUT"});
}

}  // namespace
}  // namespace torchfleet::worker
