#include <catch2/matchers/catch_matchers_string.hpp>
#include <future>

#include "model-worker/reload/reloader.h"
#include "tests/unit/model-worker/served_worker.h"

namespace torchfleet::worker {
namespace {

using Catch::Matchers::ContainsSubstring;

constexpr char kConfig[] =
    "platform: \"pytorch_libtorch\"\n"
    "input { name: \"text\" data_type: TYPE_STRING dims: -1 }\n"
    "output { name: \"echo\" data_type: TYPE_STRING dims: -1 }\n";

absl::Status Reload(Served& served, const std::string& model = "echo",
                    const std::string& parameter = "") {
  grpc::ClientContext context;
  inference::RepositoryModelLoadRequest request;
  request.set_model_name(model);
  if (!parameter.empty()) (*request.mutable_parameters())[parameter].set_string_param("{}");
  inference::RepositoryModelLoadResponse response;
  return FromGrpc(served.stub().RepositoryModelLoad(&context, request, &response));
}

std::string ReasonInIndex(Served& served) {
  grpc::ClientContext context;
  inference::RepositoryIndexResponse response;
  REQUIRE(served.stub().RepositoryIndex(&context, {}, &response).ok());
  CHECK(response.models(0).state() == "READY");
  return response.models(0).reason();
}

TEST_CASE("Reload: a new configuration takes over, and is what the worker tells",
          "[worker][reload]") {
  Served served;
  ModelInferResponse response;
  REQUIRE(served.Infer(Text("before"), &response).ok());
  served.Write("echo/config.pbtxt", kConfig + std::string("max_batch_size: 4\n"
                                                          "instance_group { count: 3 }\n"));
  REQUIRE(Reload(served).ok());
  CHECK(ReasonInIndex(served).empty());
  auto request = Text("after");
  CHECK(absl::IsInvalidArgument(served.Infer(request, &response)));
  request.mutable_inputs(0)->mutable_shape()->Add(1);
  CHECK(served.Infer(request, &response).ok());
  CHECK_THAT(Get(served.worker().operator_address(), "/metrics"),
             ContainsSubstring(R"(reloads_total{model="echo",result="ok",version="7"} 1)") ||
                 ContainsSubstring(R"(reloads_total{model="echo",version="7",result="ok"} 1)"));
}

TEST_CASE("Reload: what cannot be loaded leaves the old one serving, and says why",
          "[worker][reload]") {
  Served served;
  ModelInferResponse response;
  served.Write("echo/7/model.pt", "corrupt");
  absl::Status status = Reload(served);
  CHECK(absl::IsFailedPrecondition(status));
  CHECK(status.message() == "model.pt is corrupt");
  CHECK(ReasonInIndex(served) == "model.pt is corrupt");
  CHECK(served.Infer(Text("still here"), &response).ok());

  served.Write("echo/7/model.pt", "");
  served.Write("echo/config.pbtxt", "platform: [\n");
  status = Reload(served);
  CHECK(absl::IsInvalidArgument(status));
  CHECK_THAT(std::string(status.message()), ContainsSubstring("config.pbtxt:1"));
  CHECK_THAT(std::string(status.message()), !ContainsSubstring("/"));
  CHECK(served.Infer(Text("still here"), &response).ok());

  served.Write("echo/config.pbtxt", kConfig + std::string("default_model_filename: \"none.pt\""));
  status = Reload(served);
  CHECK(absl::IsFailedPrecondition(status));
  CHECK_THAT(std::string(status.message()), !ContainsSubstring("/"));

  served.Write("echo/config.pbtxt", kConfig);
  CHECK(Reload(served).ok());
  CHECK(ReasonInIndex(served).empty());
}

TEST_CASE("Reload: a model that does not stand its warm-up does not take over",
          "[worker][reload]") {
  Served served;
  const std::string warm_up =
      "model_warmup { name: \"w\" inputs { key: \"text\" value { data_type: TYPE_STRING dims: 1 "
      "zero_data: true } } }\n";
  for (const std::string behaviour : {"throw", "bad_alloc"}) {
    served.Write("echo/config.pbtxt", kConfig + warm_up +
                                          "parameters { key: \"fake\" value { string_value: \"" +
                                          behaviour + "\" } }\n");
    const absl::Status status = Reload(served);
    CHECK(status.code() == (behaviour == "throw" ? absl::StatusCode::kFailedPrecondition
                                                 : absl::StatusCode::kResourceExhausted));
    CHECK_THAT(std::string(status.message()), !ContainsSubstring("secret"));
  }
  ModelInferResponse response;
  CHECK(served.Infer(Text("still here"), &response).ok());
}

TEST_CASE("Reload: another model is NOT_FOUND, and parameters are not offered",
          "[worker][reload]") {
  Served served;
  CHECK(absl::IsNotFound(Reload(served, "other")));
  CHECK(absl::IsNotFound(Reload(served, "")));
  CHECK(absl::IsInvalidArgument(Reload(served, "echo", "config")));
  CHECK(absl::IsInvalidArgument(Reload(served, "echo", "file:1/model.pt")));
}

TEST_CASE("Reload: requests of the old model are answered by it", "[worker][reload]") {
  Gate gate;
  int loads = 0;
  Served served("",
                [&](const auto& file, const auto& spec) -> absl::StatusOr<std::unique_ptr<Model>> {
                  if (loads++ == 0) return std::make_unique<GatedModel>(gate);
                  return LoadFakeModel(file, spec);
                });
  ModelInferResponse running_response, waiting_response, response;
  auto running = std::async([&] { return served.Infer(Text("runs"), &running_response); });
  REQUIRE(gate.WaitForEntered(1));
  auto waiting = std::async([&] { return served.Infer(Text("waits"), &waiting_response); });
  WaitForDepth(served, 1);
  REQUIRE(Reload(served).ok());
  // The new one does not wait for the old one's.
  CHECK(served.Infer(Text("new"), &response).ok());
  CHECK_FALSE(gate.Ran("new"));
  gate.Open();
  CHECK(running.get().ok());
  CHECK(waiting.get().ok());
  CHECK(gate.Ran("waits"));
  CHECK(waiting_response.raw_output_contents(0) == Raw("waits"));
}

// A model that tells when it ends.
class MortalModel : public Model {
 public:
  MortalModel(std::promise<void>& ended, std::unique_ptr<Model> inner)
      : ended_(ended), inner_(std::move(inner)) {}
  ~MortalModel() override { ended_.set_value(); }
  absl::StatusOr<std::vector<OutputTensor>> Run(const std::vector<BatchInput>& inputs,
                                                RunStages& stages) override {
    return inner_->Run(inputs, stages);
  }

 private:
  std::promise<void>& ended_;
  const std::unique_ptr<Model> inner_;
};

TEST_CASE("Reload: the old model ends when its last request has", "[worker][reload]") {
  std::promise<void> ended[3];
  int loads = 0;
  {
    Served served(
        "", [&](const auto& file, const auto& spec) -> absl::StatusOr<std::unique_ptr<Model>> {
          auto inner = LoadFakeModel(file, spec);
          if (!inner.ok()) return inner.status();
          return std::make_unique<MortalModel>(ended[loads++], *std::move(inner));
        });
    ModelInferResponse response;
    for (int i = 0; i < 2; ++i) {
      CHECK(served.Infer(Text("x"), &response).ok());
      REQUIRE(Reload(served).ok());
      CHECK(ended[i].get_future().wait_for(std::chrono::seconds(30)) == std::future_status::ready);
    }
  }
  CHECK(loads == 3);
  CHECK(ended[2].get_future().wait_for(std::chrono::seconds(0)) == std::future_status::ready);
}

TEST_CASE("Reload: whoever asks while one runs shares the next", "[worker][reload]") {
  Gate gate;
  std::atomic<int> loads = 0;
  Served served("", [&](const auto& file, const auto& spec) {
    if (loads++ > 0) gate.Pass(std::to_string(loads));
    return LoadFakeModel(file, spec);
  });
  auto first = std::async([&] { return Reload(served); });
  REQUIRE(gate.WaitForEntered(1));
  // Sent on one connection before the gate opens, so that all wait by then.
  constexpr int kMore = 5;
  grpc::ClientContext contexts[kMore];
  inference::RepositoryModelLoadRequest request;
  request.set_model_name("echo");
  inference::RepositoryModelLoadResponse responses[kMore];
  std::promise<grpc::Status> ended[kMore];
  for (int i = 0; i < kMore; ++i) {
    served.stub().async()->RepositoryModelLoad(
        &contexts[i], &request, &responses[i],
        [&ended, i](grpc::Status status) { ended[i].set_value(status); });
  }
  CHECK(ReasonInIndex(served).empty());
  gate.Open();
  CHECK(first.get().ok());
  for (auto& each : ended) CHECK(each.get_future().get().ok());
  CHECK(loads <= 2 + kMore);
}

// Files, engines and a reloader without a worker.
struct Reloading {
  explicit Reloading(absl::Duration interval) : reloader(files, engines, serving, interval) {
    root.Write("echo/config.pbtxt", kConfig);
    root.Write("echo/7/model.pt", "");
    const auto engine = engines.Make(files.Read().value());
    REQUIRE(engine->Load(LoadFakeModel).ok());
    serving.Set(std::shared_ptr<const Engine>(engine));
  }
  ~Reloading() { reloader.Stop(); }

  const TemporaryFolder root;
  const MonotonicClock clock;
  QueueStatistics queue;
  ExecutionStatistics executions;
  RunWatch watch{clock};
  WatchedModel files{root.path(), "echo", 0};
  Engines engines{16, {.queue = queue, .executions = executions, .watch = watch, .clock = clock}};
  Snapshot<Engine> serving{std::shared_ptr<const Engine>()};
  Reloader reloader;
};

TEST_CASE("Reloader: takes files that have changed", "[worker][reload]") {
  Reloading reloading(absl::Milliseconds(5));
  std::promise<int64_t> taken;
  reloading.reloader.Start(
      LoadFakeModel, [&](const Engine& engine) { taken.set_value(engine.spec().max_batch_size); });
  reloading.root.Write("echo/config.pbtxt", kConfig + std::string("max_batch_size: 2\n"));
  auto seen = taken.get_future();
  REQUIRE(seen.wait_for(std::chrono::seconds(30)) == std::future_status::ready);
  CHECK(seen.get() == 2);
  reloading.reloader.Stop();
  CHECK(reloading.reloader.figures().ok == 1);
}

TEST_CASE("Reloader: once closed it refuses, and nothing takes over", "[worker][reload]") {
  Reloading reloading(absl::ZeroDuration());
  reloading.reloader.Start(LoadFakeModel, [](const Engine&) { FAIL("nothing takes over"); });
  reloading.reloader.Close();
  absl::Status told;
  reloading.reloader.Ask([&](const absl::Status& status) { told = status; });
  CHECK(absl::IsUnavailable(told));
}

TEST_CASE("Reloader: a close answers who waits for a load that runs on", "[worker][reload]") {
  Reloading reloading(absl::ZeroDuration());
  Gate gate;
  reloading.reloader.Start(
      [&](const auto& file, const auto& spec) {
        gate.Pass("load");
        return LoadFakeModel(file, spec);
      },
      [](const Engine&) { FAIL("nothing takes over"); });
  std::promise<absl::Status> told;
  reloading.reloader.Ask([&](const absl::Status& status) { told.set_value(status); });
  REQUIRE(gate.WaitForEntered(1));
  reloading.reloader.Close();
  CHECK(absl::IsUnavailable(told.get_future().get()));
  gate.Open();
}

TEST_CASE("WatchedModel: a change counts once it has stood still, until it is read",
          "[worker][reload]") {
  const TemporaryFolder root;
  root.Write("m/config.pbtxt", kConfig);
  root.Write("m/3/model.pt", "");
  WatchedModel files(root.path(), "m", 0);
  REQUIRE(files.Read().ok());
  CHECK_FALSE(files.Changed());
  root.Write("m/3/model.pt", "half");
  CHECK_FALSE(files.Changed());
  root.Write("m/3/model.pt", "half and half");
  CHECK_FALSE(files.Changed());
  CHECK(files.Changed());
  CHECK(files.Changed());
  REQUIRE(files.Read().ok());
  CHECK_FALSE(files.Changed());
  CHECK_FALSE(files.Changed());
}

TEST_CASE("WatchedModel: stays with its version, and sees the file that a configuration names",
          "[worker][reload]") {
  const TemporaryFolder root;
  root.Write("m/config.pbtxt", kConfig + std::string("version_policy { all {} }"));
  root.Write("m/3/model.pt", "");
  WatchedModel files(root.path(), "m", 0);
  REQUIRE(files.Read().ok());
  root.Write("m/4/model.pt", "");
  CHECK(files.Read()->version.version == 3);
  root.Write("m/config.pbtxt", kConfig + std::string("version_policy { all {} }\n"
                                                     "default_model_filename: \"new.pt\""));
  CHECK_FALSE(files.Read().ok());
  CHECK_FALSE(files.Changed());
  root.Write("m/3/new.pt", "");
  CHECK_FALSE(files.Changed());
  CHECK(files.Changed());
  CHECK(files.Read()->version.model_file.filename() == "new.pt");
}

TEST_CASE("WatchedModel: folders are in no text", "[worker][reload]") {
  const WatchedModel files("/srv/./models/", "m", 3);
  CHECK(files.WithoutFolders("/srv/models/m/3/model.pt is empty") == "model.pt is empty");
  CHECK(files.WithoutFolders("/srv/models/m/config.pbtxt:1:2: x") == "config.pbtxt:1:2: x");
  CHECK(files.WithoutFolders("/srv/models/m: none") == "the model's folder: none");
  CHECK(files.WithoutFolders("/srv/models/other/x") == "other/x");
}

}  // namespace
}  // namespace torchfleet::worker
