#include "model-worker/execute/executor.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <deque>
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
    return Run(bytes, {static_cast<int64_t>(bytes.size())});
  }
  std::shared_ptr<FakeRequest> Run(std::string_view bytes, std::vector<int64_t> shape) {
    CheckedRequest checked;
    if (spec_.max_batch_size > 0) checked.batch = shape[0];
    checked.inputs = {{std::move(shape), bytes, false}};
    return Run(std::move(checked));
  }
  std::shared_ptr<FakeRequest> Run(CheckedRequest checked) {
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

// Requests of one row of eight bytes each, run as one batch on this thread.
class Together {
 public:
  explicit Together(const std::string& behaviour, std::unique_ptr<Model> model = nullptr)
      : spec_(BatchSpec(behaviour)),
        model_(model ? std::move(model) : MakeFakeModel(spec_).value()) {}

  FakeRequest& Push(std::string_view bytes, Instant deadline = Instant::Infinite()) {
    CheckedRequest checked;
    checked.batch = 1;
    checked.inputs = {{{1, 8}, bytes, false}};
    checked.outputs = {0};
    FakeRequest& request = requests_.emplace_back(RequestTerms{.deadline = deadline}, checked);
    REQUIRE(scheduler_.Push(request).ok());
    return request;
  }
  void Run() {
    Batch batch;
    REQUIRE(scheduler_.Take(batch));
    REQUIRE(batch.requests().size() == requests_.size());
    executor_.Run(batch);
    CHECK(scheduler_.figures().running == 0);
    CHECK(watch_.longest() == absl::ZeroDuration());
    for (const FakeRequest& request : requests_) CHECK(request.answers() == 1);
  }
  ExecutionStatistics::Figures executions() const { return executions_.figures(); }

  ManualClock clock_;

 private:
  static ModelSpec BatchSpec(const std::string& behaviour) {
    ModelSpec spec = Spec(behaviour);
    spec.max_batch_size = spec.batching.most = 8;
    spec.inputs[0].shape = spec.outputs[0].shape = {-1, 8};
    return spec;
  }

  const ModelSpec spec_;
  QueueStatistics queue_;
  ExecutionStatistics executions_;
  RunWatch watch_{clock_};
  Scheduler scheduler_{spec_, 8, queue_, clock_};
  const std::unique_ptr<Model> model_;
  Executor executor_{scheduler_, *model_, spec_, executions_, watch_, clock_};
  std::deque<FakeRequest> requests_;
};

TEST_CASE("Executor: in a batch only that request fails which makes it fail", "[worker][execute]") {
  const auto [bad, code] = GENERATE(std::pair("a poison", absl::StatusCode::kInternal),
                                    std::pair("a hunger", absl::StatusCode::kResourceExhausted));
  Together batch("poison");
  FakeRequest& first = batch.Push("aaaaaaaa");
  FakeRequest& poisoned = batch.Push(bad);
  FakeRequest& last = batch.Push("cccccccc");
  batch.Run();
  CHECK(first.outputs().at(0).bytes == "aaaaaaaa");
  CHECK(last.outputs().at(0).bytes == "cccccccc");
  CHECK(last.outputs().at(0).shape == std::vector<int64_t>{1, 8});
  CHECK(poisoned.status().code() == code);
  CHECK_THAT(std::string(poisoned.status().message()), !ContainsSubstring("secret"));
  const auto executions = batch.executions();
  CHECK(executions.apart == 1);
  CHECK(executions.sizes.at(1).count == 2);
  CHECK(executions.sizes.size() == 1);
}

TEST_CASE("Executor: a batch that succeeds is one execution, each with its own rows",
          "[worker][execute]") {
  Together batch("echo");
  FakeRequest& first = batch.Push("aaaaaaaa");
  FakeRequest& last = batch.Push("bbbbbbbb");
  batch.Run();
  CHECK(first.outputs().at(0).bytes == "aaaaaaaa");
  CHECK(last.outputs().at(0).bytes == "bbbbbbbb");
  const auto executions = batch.executions();
  CHECK(executions.apart == 0);
  CHECK(executions.sizes.at(2).count == 1);
  CHECK(executions.elements == 2);
  CHECK(executions.padding == 0);
}

TEST_CASE("Executor: a broken promise is counted once for each answer refused",
          "[worker][execute]") {
  Together batch("wrong_shape");
  batch.Push("aaaaaaaa");
  batch.Push("bbbbbbbb");
  batch.Push("cccccccc");
  batch.Run();
  CHECK(batch.executions().mismatches == 3);
}

// Fails on more than one row, and lets a moment pass each time.
class OnlyAlone : public Model {
 public:
  explicit OnlyAlone(ManualClock*& clock) : clock_(clock) {}
  absl::StatusOr<std::vector<OutputTensor>> Run(const std::vector<BatchInput>& inputs,
                                                RunStages& stages) override {
    clock_->Advance(absl::Seconds(1));
    stages.Gathered();
    if (inputs[0].shape[0] > 1) return absl::InternalError("too many");
    clock_->Advance(absl::Seconds(2));
    stages.Computed();
    std::string bytes(inputs[0].size(), '\0');
    inputs[0].CopyTo(bytes.data());
    return std::vector<OutputTensor>{
        OutputTensor::Own(wire::DataType::kUint8, inputs[0].shape, std::move(bytes))};
  }

 private:
  ManualClock*& clock_;
};

TEST_CASE("Executor: run apart, what is late by then is not run", "[worker][execute]") {
  ManualClock* clock = nullptr;
  Together batch("echo", std::make_unique<OnlyAlone>(clock));
  clock = &batch.clock_;
  FakeRequest& first = batch.Push("aaaaaaaa");
  FakeRequest& late = batch.Push("bbbbbbbb", clock->Now() + absl::Seconds(3));
  FakeRequest& last = batch.Push("cccccccc", clock->Now() + absl::Seconds(5));
  batch.Run();
  CHECK(first.status().ok());
  CHECK(absl::IsDeadlineExceeded(late.status()));
  CHECK(last.outputs().at(0).bytes == "cccccccc");
  // How long the model took to take its inputs, and to compute.
  const auto alone = batch.executions().sizes.at(1);
  CHECK(alone.count == 2);
  CHECK(alone.input == absl::Seconds(2));
  CHECK(alone.infer == absl::Seconds(4));
}

TEST_CASE("Executor: a reshape that the model does not keep is a broken promise",
          "[worker][execute]") {
  // As many dimensions as it has inside, but others: rows would not be one's own.
  ModelSpec spec = Spec("echo");
  spec.inputs[0].shape = {-1, 6};
  spec.inputs[0].inside = {{-1, 3, 2}};
  spec.outputs[0].shape = {-1, 4};
  spec.outputs[0].inside = {{-1, 2, 2}};
  spec.max_batch_size = 4;
  Bench bench(spec);
  CHECK(absl::IsInternal(bench.Run("abcdef", {1, 6})->status()));
  CHECK(bench.executions().mismatches == 1);
  spec.outputs[0].shape = {-1, 6};
  spec.outputs[0].inside = {{-1, 3, 2}};
  Bench kept(spec);
  const auto request = kept.Run("abcdef", {1, 6});
  REQUIRE(request->status().ok());
  CHECK(request->outputs().at(0).shape == std::vector<int64_t>{1, 6});
}

// Has given what it says that it has not.
class TooFewBytes : public Model {
  absl::StatusOr<std::vector<OutputTensor>> Run(const std::vector<BatchInput>& inputs,
                                                RunStages&) override {
    return std::vector<OutputTensor>{
        OutputTensor::Own(wire::DataType::kUint8, inputs[0].shape, "x")};
  }
};

TEST_CASE("Executor: fewer bytes than a shape has are a broken promise", "[worker][execute]") {
  Together batch("echo", std::make_unique<TooFewBytes>());
  FakeRequest& one = batch.Push("aaaaaaaa");
  FakeRequest& other = batch.Push("bbbbbbbb");
  batch.Run();
  CHECK(absl::IsInternal(one.status()));
  CHECK(absl::IsInternal(other.status()));
}

TEST_CASE("Executor: when what the worker makes itself cannot be made, that is an answer, too",
          "[worker][execute]") {
  ModelSpec spec = Spec("echo");
  spec.max_batch_size = 4;
  spec.inputs = {{"x", wire::DataType::kUint8, {-1, -1}},
                 {"mask", wire::DataType::kInt64, {-1, -1}}};
  spec.outputs = {{"y", wire::DataType::kUint8, {-1, -1}}};
  spec.lengths.inputs = {1, 1};
  spec.lengths.outputs = {std::nullopt};
  spec.lengths.padding = {"x", std::string(8, '\0')};
  spec.lengths.mask = 1;
  Bench bench(spec);
  // Longer than any string; no front lets it through.
  CheckedRequest checked;
  checked.batch = 1;
  checked.length = int64_t{1} << 60;
  checked.inputs = {{{1, checked.length}, "", false}, {{}, {}, true}};
  CHECK_FALSE(bench.Run(checked)->status().ok());
  checked.length = 1;
  checked.inputs[0] = {{1, 1}, "x", false};
  CHECK(bench.Run(checked)->status().ok());
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
