#include "trainer/publish/publication.h"

#include <fmt/format.h>

#include <fstream>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "base/version.h"
#include "nlohmann/json.hpp"
#include "repository/publish.h"
#include "repository/file_digest.h"

namespace torchfleet::trainer {
namespace {

using nlohmann::ordered_json;

inference::ModelConfig Config(const TrainingRecord& record) {
  const TrainSpec& spec = record.spec;
  inference::ModelConfig config;
  config.set_name(spec.model);
  config.set_platform("pytorch_libtorch");
  config.set_max_batch_size(static_cast<int32_t>(spec.max_batch_size));
  auto* input = config.add_input();
  input->set_name(spec.input_name);
  input->set_data_type(inference::TYPE_FP32);
  input->mutable_dims()->Add(spec.input_shape.begin(), spec.input_shape.end());
  auto* output = config.add_output();
  output->set_name(spec.output_name);
  output->set_data_type(inference::TYPE_FP32);
  output->add_dims(record.outputs);
  return config;
}

ordered_json Epoch(const EpochResult& epoch, bool accuracy) {
  ordered_json json = {{"epoch", epoch.epoch},
                       {"learning_rate", epoch.learning_rate},
                       {"train_loss", epoch.train_loss},
                       {"test_loss", epoch.test_loss}};
  if (accuracy) {
    json["train_accuracy"] = epoch.train_accuracy;
    json["test_accuracy"] = epoch.test_accuracy;
  }
  json["seconds"] = epoch.seconds;
  return json;
}

absl::StatusOr<ordered_json> Digests(const Dataset& data) {
  ordered_json files = ordered_json::object();
  for (const auto& file : data.files) {
    ASSIGN_OR_RETURN(const std::string digest, repository::FileDigest(file));
    files[file.filename().string()] = "sha256:" + digest;
  }
  return files;
}

absl::Status WriteRecord(const TrainingRecord& record, const std::filesystem::path& folder) {
  const bool accuracy = record.spec.loss == LossKind::kSparseCrossEntropy;
  ordered_json epochs = ordered_json::array();
  for (const EpochResult& epoch : record.epochs) epochs.push_back(Epoch(epoch, accuracy));
  ASSIGN_OR_RETURN(ordered_json train_files, Digests(record.train));
  ASSIGN_OR_RETURN(ordered_json test_files, Digests(record.test));
  ASSIGN_OR_RETURN(const std::string model, repository::FileDigest(folder / "model.pt"));
  const ordered_json json = {
      {"model", record.spec.model},
      {"trained_at", absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone())},
      {"torchfleet", kVersion},
      {"torch", TorchVersion()},
      {"seed", record.spec.seed},
      {"epochs", epochs},
      {"train_data", train_files},
      {"test_data", test_files},
      {"model_digest", "sha256:" + model},
      {"spec", record.spec.text}};
  const auto file = folder / "training.json";
  std::ofstream stream(file);
  stream << json.dump(2) << "\n";
  stream.flush();
  if (!stream) return absl::InternalError(fmt::format("{} cannot be written", file.string()));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<repository::ModelVersion> PublishModel(
    const std::filesystem::path& repository, const TrainingRecord& record,
    const std::function<absl::Status(const std::filesystem::path& file)>& save) {
  return repository::Publish(repository, Config(record), [&](const std::filesystem::path& folder) {
    RETURN_IF_ERROR(save(folder / "model.pt"));
    return WriteRecord(record, folder);
  });
}

}  // namespace torchfleet::trainer
