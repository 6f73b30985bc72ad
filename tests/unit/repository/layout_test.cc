#include "repository/layout.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "tests/fakes/temporary_folder.h"

namespace torchfleet::repository {
namespace {

using Catch::Matchers::ContainsSubstring;

constexpr char kDigits[] = R"(
platform: "pytorch_libtorch"
max_batch_size: 64
input { name: "x" data_type: TYPE_FP32 dims: 784 }
output { name: "y" data_type: TYPE_FP32 dims: 10 }
)";

absl::StatusOr<inference::ModelConfig> Read(std::string_view config,
                                            std::vector<std::string>* skipped = nullptr) {
  const TemporaryFolder root;
  root.Write("digits/config.pbtxt", config);
  return ReadConfig(root.path(), "digits", skipped);
}

TEST_CASE("ReadConfig: reads a config and names the model after its folder", "[repository]") {
  std::vector<std::string> skipped;
  const auto config = Read(kDigits, &skipped);
  REQUIRE(config.ok());
  CHECK(config->name() == "digits");
  CHECK(config->max_batch_size() == 64);
  CHECK(config->input(0).dims(0) == 784);
  CHECK(skipped.empty());
}

TEST_CASE("ReadConfig: skips fields it does not know and names each", "[repository]") {
  std::vector<std::string> skipped;
  const auto config = Read(std::string(kDigits) +
                               "ensemble_of_dreams { depth: 3 step { a: 1 } }\n"
                               "instance_group { count: 2 rate_limiter { priority: 1 } }\n",
                           &skipped);
  REQUIRE(config.ok());
  CHECK(config->instance_group(0).count() == 2);
  REQUIRE(skipped.size() == 2);
  CHECK_THAT(skipped[0],
             ContainsSubstring("config.pbtxt:6:") && ContainsSubstring("ensemble_of_dreams"));
  CHECK_THAT(skipped[1], ContainsSubstring("config.pbtxt:7:") && ContainsSubstring("rate_limiter"));
}

TEST_CASE("ReadConfig: says file, line and column of what cannot be read", "[repository]") {
  const auto config = Read("platform: \"pytorch_libtorch\"\nmax_batch_size: many\n");
  CHECK(config.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(config.status().message()), ContainsSubstring("config.pbtxt:2:17"));
}

TEST_CASE("ReadConfig: refuses what contradicts itself and names the field", "[repository]") {
  const std::string platform = "platform: \"pytorch_libtorch\"\n";
  const std::string in = "input { name: \"x\" data_type: TYPE_FP32 dims: 1 }\n";
  const std::string out = "output { name: \"y\" data_type: TYPE_FP32 dims: 1 }\n";
  struct Row {
    std::string config;
    const char* says;
  };
  const Row rows[] = {
      {in + out, "neither platform nor backend"},
      {"platform: \"onnxruntime_onnx\"\n" + in + out, "onnxruntime_onnx"},
      {"backend: \"python\"\n" + in + out, "python"},
      {platform + out, "no input"},
      {platform + in, "no output"},
      {platform + in + in + out, "input 'x' is there twice"},
      {platform + in + out + out, "output 'y' is there twice"},
      {platform + "input { data_type: TYPE_FP32 dims: 1 }\n" + out, "no name"},
      {platform + "input { name: \"x\" dims: 1 }\n" + out, "no data_type"},
      {platform + "input { name: \"x\" data_type: TYPE_INVALID dims: 1 }\n" + out, "no data_type"},
      {platform + "input { name: \"x\" data_type: TYPE_FP32 dims: 0 }\n" + out, "dims has 0"},
      {platform + in + "output { name: \"y\" data_type: TYPE_FP32 dims: -2 }\n", "dims has -2"},
      {platform + in + out + "max_batch_size: -1\n", "max_batch_size is -1"},
      {platform + in + out + "instance_group { kind: KIND_GPU }\n", "GPU"},
      {platform + in + out + "instance_group { gpus: 0 }\n", "GPU"},
      {platform + in + out + "instance_group { count: -1 }\n", "instance_group.count is -1"},
      {platform + in + out + "name: \"letters\"\n", "the folder is 'digits'"},
      {platform + in + out + "default_model_filename: \"../../etc/passwd\"\n",
       "default_model_filename"},
      {platform + in + out + "sequence_batching {}\n", "sequence_batching"},
      {platform + in + out + "ensemble_scheduling {}\n", "ensemble_scheduling"},
      {platform + in + out + "model_transaction_policy { decoupled: true }\n", "decoupled"},
  };
  for (const Row& row : rows) {
    INFO(row.config);
    const auto config = Read(row.config);
    CHECK(config.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(config.status().message()),
               ContainsSubstring("config.pbtxt") && ContainsSubstring(row.says));
  }
}

TEST_CASE("ReadConfig: NOT_FOUND without the file, INVALID_ARGUMENT for no name", "[repository]") {
  const TemporaryFolder root;
  CHECK(absl::IsNotFound(ReadConfig(root.path(), "digits", nullptr).status()));
  for (const std::string& name :
       {std::string("../digits"), std::string(), std::string(".hidden"), std::string("a\0b", 3),
        std::string("a/b"), std::string(129, 'a'), std::string("ö")}) {
    CHECK(absl::IsInvalidArgument(ReadConfig(root.path(), name, nullptr).status()));
  }
}

TEST_CASE("Platform: from the platform or else the backend", "[repository]") {
  inference::ModelConfig config;
  config.set_backend("pytorch");
  CHECK(Platform(config).value() == "pytorch_libtorch");
  CHECK(ModelFilename(config) == "model.pt");
  config.set_platform("torch_aoti");
  CHECK(Platform(config).value() == "torch_aoti");
  CHECK(ModelFilename(config) == "model.pt2");
  config.set_default_model_filename("digits.pt2");
  CHECK(ModelFilename(config) == "digits.pt2");
}

std::vector<int64_t> Served(const std::string& policy) {
  const TemporaryFolder root;
  root.Write("digits/config.pbtxt", kDigits + policy);
  for (const char* version : {"1", "2", "9", "10"}) {
    root.Write("digits/" + std::string(version) + "/model.pt", "");
  }
  // None of these is a version.
  root.Write("digits/11/notes.txt", "");
  root.Write("digits/007/model.pt", "");
  root.Write("digits/v12/model.pt", "");
  root.Write("digits/99999999999999999999/model.pt", "");
  root.Write("digits/13", "a file");
  const auto config = ReadConfig(root.path(), "digits", nullptr);
  REQUIRE(config.ok());
  std::vector<int64_t> numbers;
  const auto versions = ServedVersions(root.path(), "digits", *config);
  if (!versions.ok()) {
    CHECK(absl::IsNotFound(versions.status()));
    return numbers;
  }
  for (const ModelVersion& version : *versions) {
    CHECK(version.model_file ==
          root.path() / "digits" / std::to_string(version.version) / "model.pt");
    numbers.push_back(version.version);
  }
  return numbers;
}

TEST_CASE("ServedVersions: by the policy, ascending as numbers", "[repository]") {
  using Versions = std::vector<int64_t>;
  CHECK(Served("") == Versions{10});
  CHECK(Served("version_policy { latest { num_versions: 2 } }") == Versions{9, 10});
  CHECK(Served("version_policy { latest { num_versions: 50 } }") == Versions{1, 2, 9, 10});
  CHECK(Served("version_policy { all {} }") == Versions{1, 2, 9, 10});
  CHECK(Served("version_policy { specific { versions: 9 versions: 2 } }") == Versions{2, 9});
  CHECK(Served("version_policy { specific { versions: 11 } }").empty());
}

TEST_CASE("ListVersions: every version, whatever the policy", "[repository]") {
  const TemporaryFolder root;
  root.Write("digits/config.pbtxt", kDigits);
  const auto config = ReadConfig(root.path(), "digits", nullptr);
  REQUIRE(config.ok());
  CHECK(absl::IsNotFound(ListVersions(root.path(), "digits", *config).status()));
  root.Write("digits/10/model.pt", "");
  root.Write("digits/9/model.pt", "");
  const auto versions = ListVersions(root.path(), "digits", *config);
  REQUIRE(versions.ok());
  REQUIRE(versions->size() == 2);
  CHECK(versions->front().version == 9);
  CHECK(versions->back().version == 10);
}

TEST_CASE("ListModels: every folder with a config, sorted", "[repository]") {
  const TemporaryFolder root;
  root.Write("mnist/config.pbtxt", "");
  root.Write("digits/config.pbtxt", "");
  root.Write("notes/readme.txt", "");
  root.Write(".hidden/config.pbtxt", "");
  root.Write("file", "");
  CHECK(ListModels(root.path()).value() == std::vector<std::string>{"digits", "mnist"});
  CHECK(absl::IsNotFound(ListModels(root.path() / "nowhere").status()));
}

}  // namespace
}  // namespace torchfleet::repository
