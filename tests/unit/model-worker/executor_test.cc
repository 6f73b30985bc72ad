#include "model-worker/execute/executor.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <stdexcept>

#include "model-worker/execute/memory_budget.h"
#include "tests/fakes/fake_model.h"
#include "tests/fakes/temporary_folder.h"
#include "tests/unit/model-worker/fake_request.h"

namespace torchfleet::worker {
namespace {

using Catch::Matchers::ContainsSubstring;

ModelSpec Spec(const std::string& behaviour, int instances = 1) {
  ModelSpec spec;
  spec.name = "echo";
  spec.version = "1";
  spec.inputs = {{"x", wire::DataType::kUint8, {-1}}};
  spec.outputs = {{"y", wire::DataType::kUint8, {-1}}};
  spec.instances = instances;
  spec.parameters["fake"] = behaviour;
  return spec;
}

// A queue, a model and its executor.
class Bench {
 public:
  explicit Bench(const ModelSpec& spec, std::unique_ptr<Model> model = nullptr)
      : spec_(spec),
        model_(model ? std::move(model) : MakeFakeModel(spec_).value()),
        executor_(scheduler_, *model_, spec_, executions_, watch_, clock_) {
    executor_.Start();
  }
  ~Bench() {
    scheduler_.Close();
    executor_.Stop();
  }

  std::shared_ptr<FakeRequest> Run(std::string_view bytes) {
    CheckedRequest checked;
    checked.inputs = {{{static_cast<int64_t>(bytes.size())}, bytes, false}};
    checked.outputs = {0};
    auto request = std::make_shared<FakeRequest>(RequestTerms(), checked);
    CHECK(scheduler_.Push(*request).ok());
    Batch batch;
    CHECK_FALSE(scheduler_.TakeHere(batch).taken);
    return request;
  }
  ExecutionStatistics::Figures executions() const { return executions_.figures(); }

 private:
  const ModelSpec spec_;
  const MonotonicClock clock_;
  QueueStatistics queue_;
  ExecutionStatistics executions_;
  RunWatch watch_{clock_};
  // More cores than one, so that its own threads run all.
  Scheduler scheduler_{spec_, 8, queue_, clock_};
  const std::unique_ptr<Model> model_;
  Executor executor_;
};

TEST_CASE("Executor: every request gets its own answer", "[worker][execute]") {
  Bench bench(Spec("echo", 3));
  std::vector<std::string> texts;
  for (int i = 0; i < 200; ++i) texts.push_back("request " + std::to_string(i));
  std::vector<std::shared_ptr<FakeRequest>> requests;
  for (const std::string& text : texts) requests.push_back(bench.Run(text));
  for (size_t i = 0; i < texts.size(); ++i) {
    REQUIRE(requests[i]->status().ok());
    CHECK(requests[i]->outputs().at(0).bytes == texts[i]);
    CHECK(requests[i]->answers() == 1);
  }
}

TEST_CASE("Executor: a model that throws is INTERNAL without its words", "[worker][execute]") {
  Bench bench(Spec("throw"));
  const absl::Status status = bench.Run("x")->status();
  CHECK(absl::IsInternal(status));
  CHECK_THAT(std::string(status.message()), !ContainsSubstring("stack"));
  CHECK(absl::IsInternal(bench.Run("once more")->status()));
}

class ThrowsANumber : public Model {
  absl::StatusOr<std::vector<OutputTensor>> Run(const std::vector<BatchInput>&,
                                                RunStages&) override {
    throw 42;
  }
};

TEST_CASE("Executor: survives what is no exception", "[worker][execute]") {
  Bench bench(Spec("echo"), std::make_unique<ThrowsANumber>());
  CHECK(absl::IsInternal(bench.Run("x")->status()));
  CHECK(absl::IsInternal(bench.Run("x")->status()));
}

TEST_CASE("Executor: no memory is RESOURCE_EXHAUSTED and the thread lives", "[worker][execute]") {
  Bench bench(Spec("bad_alloc"));
  CHECK(absl::IsResourceExhausted(bench.Run("x")->status()));
  CHECK(absl::IsResourceExhausted(bench.Run("x")->status()));
}

// Wants more memory than there is, and says of that what models say.
class GreedyModel : public Model {
 public:
  explicit GreedyModel(MemoryBudget& memory) : memory_(memory) {}
  absl::StatusOr<std::vector<OutputTensor>> Run(const std::vector<BatchInput>&,
                                                RunStages&) override {
    CHECK_FALSE(memory_.Take(2));
    return absl::InternalError("an operator failed");
  }

 private:
  MemoryBudget& memory_;
};

TEST_CASE("Executor: memory that was refused is RESOURCE_EXHAUSTED, whatever the model says",
          "[worker][execute]") {
  const MonotonicClock clock;
  MemoryBudget memory(
      1, [] { return uint64_t{0}; }, clock);
  Bench bench(Spec("echo"), std::make_unique<GreedyModel>(memory));
  CHECK(absl::IsResourceExhausted(bench.Run("x")->status()));
}

TEST_CASE("Executor: runs what comes when loops no longer ask", "[worker][execute]") {
  const ModelSpec spec = Spec("echo");
  const MonotonicClock clock;
  QueueStatistics queue;
  ExecutionStatistics executions;
  RunWatch watch(clock);
  // With one core short batches are for loops.
  Scheduler scheduler(spec, 1, queue, clock);
  const std::unique_ptr<Model> model = MakeFakeModel(spec).value();
  Executor executor(scheduler, *model, spec, executions, watch, clock);
  executor.Start();
  CheckedRequest checked;
  checked.inputs = {{{1}, "x", false}};
  checked.outputs = {0};
  Batch batch;
  bool by_loop = false;
  for (int i = 0; i < 100 && !by_loop; ++i) {
    FakeRequest request({}, checked);
    REQUIRE(scheduler.Push(request).ok());
    by_loop = scheduler.TakeHere(batch).taken;
    if (by_loop) executor.Run(batch);
    CHECK(request.status().ok());
  }
  CHECK(by_loop);
  scheduler.Hurry();
  for (int i = 0; i < 100; ++i) {
    FakeRequest request({}, checked);
    REQUIRE(scheduler.Push(request).ok());
    CHECK(request.status().ok());
  }
  scheduler.Close();
  executor.Stop();
}

TEST_CASE("Executor: counts outputs that break the promise", "[worker][execute]") {
  Bench bench(Spec("wrong_shape"));
  const absl::Status status = bench.Run("xyz")->status();
  CHECK(absl::IsInternal(status));
  CHECK_THAT(std::string(status.message()), ContainsSubstring("[3,1]"));
  CHECK(bench.executions().mismatches == 1);
}

TEST_CASE("LoadFakeModel: refuses a damaged file and an unknown behaviour", "[worker][fakes]") {
  CHECK(absl::IsFailedPrecondition(MakeFakeModel(Spec("dance")).status()));
  const TemporaryFolder folder;
  folder.Write("model.pt", "corrupt");
  const auto file = ModelFile::Open(folder.path() / "model.pt");
  REQUIRE(file.ok());
  CHECK(absl::IsFailedPrecondition(LoadFakeModel(*file, Spec("echo")).status()));
}

}  // namespace
}  // namespace torchfleet::worker
