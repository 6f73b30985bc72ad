// torchfleet-trainer: from a spec to a version in a model repository.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <thread>

#include "base/process.h"
#include "base/shutdown.h"
#include "base/status.h"
#include "base/version.h"
#include "trainer/network/shapes.h"
#include "trainer/publish/publication.h"
#include "trainer/spec/read_spec.h"
#include "trainer/train/progress_display.h"
#include "trainer/train/training.h"

namespace torchfleet::trainer {
namespace {

struct Options {
  std::string spec;
  std::string repository = "./models";
  bool resume = false;
};

absl::Status Train(const Options& options, const std::atomic<bool>& interrupted) {
  ASSIGN_OR_RETURN(const TrainSpec spec, ReadSpec(options.spec));
  const auto wrong = [&](const absl::Status& status) {
    return absl::InvalidArgumentError(
        fmt::format("{}: {}", options.spec, std::string(status.message())));
  };
  const auto shapes = InferShapes(spec);
  if (!shapes.ok()) return wrong(shapes.status());
  const auto inputs = static_cast<size_t>(ValueCount(spec.input_shape));
  const auto outputs = static_cast<size_t>(shapes->back()[0]);
  const size_t classes = spec.loss == LossKind::kSparseCrossEntropy ? outputs : 0;
  ASSIGN_OR_RETURN(const Dataset train, LoadDataset(spec.train));
  RETURN_IF_ERROR(CheckDataset(train, inputs, outputs, classes));
  const absl::Status batches = CheckBatches(spec, *shapes, train.records);
  if (!batches.ok()) return wrong(batches);
  ASSIGN_OR_RETURN(const Dataset test, LoadDataset(spec.test));
  RETURN_IF_ERROR(CheckDataset(test, inputs, outputs, classes));
  fmt::print("training {}: {} records, {} to test on\n", spec.model, train.records, test.records);

  const std::filesystem::path root = options.repository;
  const auto checkpoint = root / ".training" / spec.model / "checkpoint.pt";
  Training training(spec, train, test, checkpoint);
  if (options.resume) RETURN_IF_ERROR(training.Resume());
  ProgressDisplay display(spec, isatty(STDOUT_FILENO) == 1);
  const Progress progress = {
      [&](const EpochResult& so_far, double fraction) { display.OnStep(so_far, fraction); },
      [&](const EpochResult& epoch) { display.OnEpoch(epoch); }};
  const absl::Status status = training.Run(progress, interrupted);
  if (absl::IsCancelled(status)) {
    return absl::CancelledError(fmt::format("{}; go on with --resume from {}",
                                            std::string(status.message()), checkpoint.string()));
  }
  RETURN_IF_ERROR(status);
  ASSIGN_OR_RETURN(
      const repository::ModelVersion published,
      PublishModel(root, {spec, training.epochs(), train, test, static_cast<int64_t>(outputs)},
                   [&](const std::filesystem::path& file) { return training.Save(file); }));
  std::error_code ignored;
  std::filesystem::remove_all(checkpoint.parent_path(), ignored);
  std::filesystem::remove(root / ".training", ignored);
  const EpochResult& last = training.epochs().back();
  if (classes > 0) {
    fmt::print("accuracy on {} test records: {:.2f} %\n", test.records, 100 * last.test_accuracy);
  }
  fmt::print("published {} version {} in {}\nserve it: torchfleet up --repository {}\n",
             published.model, published.version, published.folder.string(), options.repository);
  return absl::OkStatus();
}

}  // namespace
}  // namespace torchfleet::trainer

int main(int argc, char** argv) {
  using namespace torchfleet;
  ShutdownSignal shutdown;
  trainer::Options options;
  CLI::App app("Trains the network of a spec and publishes it as a new version of its model.");
  app.add_option("spec", options.spec, "The training spec, in protobuf's text format")->required();
  AddFlag(app, "--repository", options.repository, "The model repository to publish into");
  app.add_flag("--resume", options.resume, "Go on from the checkpoint that Ctrl-C left");
  app.set_version_flag("--version", std::string("torchfleet-trainer ") + kVersion);
  if (const auto exit_code = ParseFlags(app, argc, argv)) return *exit_code;

  // The first Ctrl-C ends the run after the step it is in, the second at once.
  std::atomic<bool> interrupted = false;
  std::thread([&] {
    shutdown.Wait();
    interrupted = true;
  }).detach();
  const absl::Status status = trainer::Train(options, interrupted);
  if (status.ok()) return 0;
  fmt::print(stderr, "torchfleet train: {}\n", std::string(status.message()));
  return absl::IsCancelled(status) ? 130 : 1;
}
