#include "trainer/publish/publication.h"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "model-worker/load/model_loader.h"
#include "model-worker/load/torch_loader.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/unit/model-worker/run_model.h"
#include "tests/unit/trainer/small_data.h"
#include "repository/file_digest.h"

namespace torchfleet::trainer {
namespace {

const std::atomic<bool> kNever = false;

// A trained network whose data came from files.
class Trained {
 public:
  explicit Trained(TrainSpec spec) : spec_(std::move(spec)) {
    for (Dataset* data : {&train_, &test_}) {
      const std::string name = data == &train_ ? "train" : "test";
      folder_.Write(name + "_x.npy", name);
      folder_.Write(name + "_y.npy", name + " targets");
      data->files = {folder_.path() / (name + "_x.npy"), folder_.path() / (name + "_y.npy")};
    }
    REQUIRE(training_.Run({}, kNever).ok());
  }

  absl::StatusOr<repository::ModelVersion> Publish() {
    return Publish([&](const std::filesystem::path& file) { return training_.Save(file); });
  }
  absl::StatusOr<repository::ModelVersion> Publish(
      const std::function<absl::Status(const std::filesystem::path&)>& save) {
    return PublishModel(models(), {spec_, training_.epochs(), train_, test_, 3}, save);
  }

  std::filesystem::path models() const { return folder_.path() / "models"; }
  const std::filesystem::path& folder() const { return folder_.path(); }
  const std::vector<EpochResult>& epochs() const { return training_.epochs(); }

 private:
  const TemporaryFolder folder_;
  const TrainSpec spec_;
  Dataset train_ = ThreeClasses(48, 6), test_ = ThreeClasses(30, 6);
  Training training_{spec_, train_, test_, folder_.path() / "checkpoint.pt"};
};

// Every path under a folder, whether it can be seen or not.
std::set<std::string> Everything(const std::filesystem::path& folder) {
  std::set<std::string> paths;
  if (!std::filesystem::exists(folder)) return paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    paths.insert(std::filesystem::relative(entry.path(), folder).string());
  }
  return paths;
}

TEST_CASE("PublishModel: the record has all that made the model", "[trainer][publish]") {
  Trained trained(SmallSpec());
  const auto published = trained.Publish();
  REQUIRE(published.ok());
  CHECK(published->version == 1);
  CHECK(Everything(trained.models()) ==
        std::set<std::string>{"small", "small/1", "small/1/model.pt", "small/1/training.json",
                              "small/config.pbtxt"});

  const auto folder = trained.models() / "small" / "1";
  std::ifstream stream(folder / "training.json");
  const auto record = nlohmann::json::parse(stream);
  CHECK(record["model"] == "small");
  CHECK(record["seed"] == 3);
  CHECK(record["spec"] == "the spec's text");
  CHECK(record["torch"] == TorchVersion());
  CHECK(record["torchfleet"].get<std::string>().size() > 0);
  CHECK(record["trained_at"].get<std::string>().size() == std::strlen("2026-01-01T00:00:00+00:00"));
  CHECK(record["model_digest"] == "sha256:" + *repository::FileDigest(folder / "model.pt"));
  for (const char* set : {"train", "test"}) {
    const auto& files = record[std::string(set) + "_data"];
    REQUIRE(files.size() == 2);
    for (const char* file : {"_x.npy", "_y.npy"}) {
      CHECK(files[std::string(set) + file] ==
            "sha256:" + *repository::FileDigest(trained.folder() / (std::string(set) + file)));
    }
  }
  REQUIRE(record["epochs"].size() == 4);
  for (size_t i = 0; i < 4; ++i) {
    const EpochResult& epoch = trained.epochs()[i];
    CHECK(record["epochs"][i] == nlohmann::json({{"epoch", i + 1},
                                                 {"learning_rate", epoch.learning_rate},
                                                 {"train_loss", epoch.train_loss},
                                                 {"test_loss", epoch.test_loss},
                                                 {"train_accuracy", epoch.train_accuracy},
                                                 {"test_accuracy", epoch.test_accuracy},
                                                 {"seconds", epoch.seconds}}));
  }
  CHECK(trained.Publish()->version == 2);
}

TEST_CASE("PublishModel: a regression has no accuracy on record", "[trainer][publish]") {
  TrainSpec spec = SmallSpec();
  spec.layers = {Layer(LayerSpec::Kind::kDense, 1)};
  spec.loss = LossKind::kMse;
  Trained trained(spec);
  REQUIRE(trained.Publish().ok());
  std::ifstream stream(trained.models() / "small" / "1" / "training.json");
  const auto record = nlohmann::json::parse(stream);
  REQUIRE(record["epochs"].size() == 4);
  CHECK_FALSE(record["epochs"][0].contains("train_accuracy"));
  CHECK_FALSE(record["epochs"][0].contains("test_accuracy"));
}

TEST_CASE("PublishModel: what cannot be saved leaves nothing behind", "[trainer][publish]") {
  Trained trained(SmallSpec());
  const absl::Status full = absl::ResourceExhaustedError("the disk is full");
  CHECK(trained.Publish([&](const auto&) { return full; }).status() == full);
  const auto half = [&](const std::filesystem::path& file) {
    std::ofstream(file) << "half a mod";
    return full;
  };
  CHECK(trained.Publish(half).status() == full);
  CHECK_FALSE(trained.Publish([](const auto&) { return absl::OkStatus(); }).ok());
  for (const std::string& path : Everything(trained.models())) {
    CAPTURE(path);
    CHECK(path == "small");
  }
  REQUIRE(trained.Publish().ok());
  const auto before = Everything(trained.models());
  CHECK(trained.Publish(half).status() == full);
  CHECK(Everything(trained.models()) == before);
}

TEST_CASE("PublishModel: data that is gone since leaves nothing behind", "[trainer][publish]") {
  Trained trained(SmallSpec());
  std::filesystem::remove(trained.folder() / "test_y.npy");
  const absl::Status status = trained.Publish().status();
  CHECK(absl::IsNotFound(status));
  CHECK(std::string(status.message()).find("test_y.npy") != std::string::npos);
  for (const std::string& path : Everything(trained.models())) CHECK(path == "small");
}

TEST_CASE("PublishModel: a worker serves it, and softmax answers probabilities",
          "[trainer][publish][torch]") {
  Trained trained(SmallSpec());
  REQUIRE(trained.Publish().ok());
  const auto read = worker::ReadModel(trained.models(), "small", 0);
  REQUIRE(read.ok());
  CHECK(read->config.max_batch_size() == 64);
  const auto model = worker::LoadModel(*read, worker::LoadTorchModel);
  REQUIRE(model.ok());

  const Dataset data = ThreeClasses(30, 6);
  const std::string bytes(reinterpret_cast<const char*>(data.inputs.data()),
                          data.inputs.size() * sizeof(float));
  const auto outputs = RunModel(**model, {{{30, 6}, bytes, false}});
  REQUIRE(outputs.ok());
  REQUIRE(outputs->size() == 1);
  CHECK(outputs->at(0).shape == std::vector<int64_t>{30, 3});
  std::vector<float> values(90);
  REQUIRE(outputs->at(0).bytes.size() == values.size() * sizeof(float));
  std::memcpy(values.data(), outputs->at(0).bytes.data(), outputs->at(0).bytes.size());
  int right = 0;
  for (size_t record = 0; record < 30; ++record) {
    const float* row = values.data() + 3 * record;
    for (int i = 0; i < 3; ++i) CHECK((row[i] >= 0 && row[i] <= 1));
    CHECK(row[0] + row[1] + row[2] == Catch::Approx(1));
    const size_t label = record % 3;
    right += row[label] > row[(label + 1) % 3] && row[label] > row[(label + 2) % 3];
  }
  // As accurate as its record says.
  CHECK(right == Catch::Approx(30 * trained.epochs().back().test_accuracy));
}

}  // namespace
}  // namespace torchfleet::trainer
