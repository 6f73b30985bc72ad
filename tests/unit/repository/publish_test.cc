#include "repository/publish.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "tests/fakes/temporary_folder.h"

namespace torchfleet::repository {
namespace {

namespace fs = std::filesystem;

inference::ModelConfig Digits() {
  inference::ModelConfig config;
  config.set_name("digits");
  config.set_platform("pytorch_libtorch");
  auto* input = config.add_input();
  input->set_name("x");
  input->set_data_type(inference::TYPE_FP32);
  input->add_dims(784);
  auto* output = config.add_output();
  output->set_name("y");
  output->set_data_type(inference::TYPE_FP32);
  output->add_dims(10);
  return config;
}

absl::Status WriteModel(const fs::path& folder) {
  std::ofstream(folder / "model.pt") << "weights";
  return absl::OkStatus();
}

std::string Content(const fs::path& file) {
  std::stringstream content;
  content << std::ifstream(file).rdbuf();
  return content.str();
}

// Everything in a folder, by name.
std::set<std::string> Names(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
  return names;
}

TEST_CASE("Publish: the first version of a new model is 1", "[repository][publish]") {
  const TemporaryFolder root;
  const auto version = Publish(root.path(), Digits(), WriteModel);
  REQUIRE(version.ok());
  CHECK(version->version == 1);
  CHECK(version->model_file == root.path() / "digits/1/model.pt");
  CHECK(Content(version->model_file) == "weights");
  CHECK(Names(root.path() / "digits") == std::set<std::string>{"1", "config.pbtxt"});
  const auto config = ReadConfig(root.path(), "digits", nullptr);
  REQUIRE(config.ok());
  CHECK(config->input(0).dims(0) == 784);
}

TEST_CASE("Publish: one higher than the highest there, served or not", "[repository][publish]") {
  const TemporaryFolder root;
  root.Write("digits/41/half-removed.txt", "");
  CHECK(Publish(root.path(), Digits(), WriteModel).value().version == 42);
  CHECK(Publish(root.path(), Digits(), WriteModel).value().version == 43);
}

TEST_CASE("Publish: nothing is seen before all of it is there", "[repository][publish]") {
  const TemporaryFolder root;
  const auto version = Publish(root.path(), Digits(), [&](const fs::path& folder) {
    CHECK(WriteModel(folder).ok());
    CHECK(folder.filename().string().front() == '.');
    CHECK(absl::IsNotFound(ServedVersions(root.path(), "digits", Digits()).status()));
    return absl::OkStatus();
  });
  REQUIRE(version.ok());
  CHECK(ServedVersions(root.path(), "digits", Digits()).value().size() == 1);
}

TEST_CASE("Publish: a failure leaves nothing behind", "[repository][publish]") {
  const TemporaryFolder root;
  const auto fail = [](const fs::path& folder) {
    std::ofstream(folder / "model.pt") << "half";
    return absl::AbortedError("the loss is NaN");
  };
  CHECK(absl::IsAborted(Publish(root.path(), Digits(), fail).status()));
  CHECK(Names(root.path()).empty());

  REQUIRE(Publish(root.path(), Digits(), WriteModel).ok());
  const std::string config = Content(root.path() / "digits/config.pbtxt");
  auto other = Digits();
  other.set_max_batch_size(8);
  CHECK(absl::IsAborted(Publish(root.path(), other, fail).status()));
  CHECK(Names(root.path() / "digits") == std::set<std::string>{"1", "config.pbtxt"});
  CHECK(Content(root.path() / "digits/config.pbtxt") == config);
}

TEST_CASE("Publish: refuses a version without its model, and no name", "[repository][publish]") {
  const TemporaryFolder root;
  const auto nothing = [](const fs::path&) { return absl::OkStatus(); };
  CHECK(absl::IsFailedPrecondition(Publish(root.path(), Digits(), nothing).status()));
  CHECK(Names(root.path()).empty());
  auto config = Digits();
  config.set_name("../digits");
  CHECK(absl::IsInvalidArgument(Publish(root.path(), config, WriteModel).status()));
}

TEST_CASE("Publish: publishers at the same time get a version each", "[repository][publish]") {
  const TemporaryFolder root;
  constexpr int kPublishers = 8;
  std::vector<int64_t> versions(kPublishers);
  std::vector<std::thread> publishers;
  for (int i = 0; i < kPublishers; ++i) {
    publishers.emplace_back([&, i] {
      const auto version = Publish(root.path(), Digits(), [i](const fs::path& folder) {
        std::ofstream(folder / "model.pt") << i;
        return absl::OkStatus();
      });
      if (version.ok()) versions[static_cast<size_t>(i)] = version->version;
    });
  }
  for (std::thread& publisher : publishers) publisher.join();
  for (int i = 0; i < kPublishers; ++i) {
    const int64_t version = versions[static_cast<size_t>(i)];
    CHECK(Content(root.path() / "digits" / std::to_string(version) / "model.pt") ==
          std::to_string(i));
  }
  CHECK(std::set<int64_t>(versions.begin(), versions.end()).size() == kPublishers);
  CHECK(*std::max_element(versions.begin(), versions.end()) == kPublishers);
}

}  // namespace
}  // namespace torchfleet::repository
