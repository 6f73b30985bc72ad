// Callers who share a worker: batches, priorities, timeouts, what is counted of
// them, and what a model runs before anybody may call it.

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <deque>
#include <future>
#include <stdexcept>

#include "base/status.h"
#include "tests/unit/model-worker/served_worker.h"

namespace torchfleet::worker {
namespace {

using Catch::Matchers::ContainsSubstring;

// Calls that are under way, each from a connection of its own.
class Calls {
 public:
  explicit Calls(Served& served) : served_(served) {}
  ~Calls() {
    for (Call& call : calls_) call.status.wait();
  }

  // Sent, and in the queue as the only one that has not been there.
  size_t Queue(const ModelInferRequest& request, const std::string& caller = "") {
    const size_t at = Send(request, caller);
    WaitForDepth(served_, ++queued_);
    return at;
  }
  size_t Send(const ModelInferRequest& request, const std::string& caller = "") {
    Call& call = calls_.emplace_back();
    call.request = request;
    if (!caller.empty()) call.context.AddMetadata("torchfleet-caller", caller);
    grpc::ChannelArguments own;
    own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    call.stub = GRPCInferenceService::NewStub(grpc::CreateCustomChannel(
        served_.worker().address(), grpc::InsecureChannelCredentials(), own));
    call.status = call.ended.get_future().share();
    call.stub->async()->ModelInfer(
        &call.context, &call.request, &call.response,
        [&call](const grpc::Status& status) { call.ended.set_value(FromGrpc(status)); });
    return calls_.size() - 1;
  }
  absl::Status status(size_t at) { return calls_[at].status.get(); }
  // Its own answer, and nobody else's.
  void CheckAnswered(size_t at, const std::string& text) {
    CHECK(status(at).ok());
    const ModelInferResponse& response = calls_[at].response;
    CHECK(response.id() == "id of " + text);
    REQUIRE(response.raw_output_contents_size() == 1);
    CHECK(response.raw_output_contents(0) == Raw(text));
    CHECK(response.outputs(0).shape(0) == 1);
  }

 private:
  struct Call {
    grpc::ClientContext context;
    ModelInferRequest request;
    ModelInferResponse response;
    std::unique_ptr<GRPCInferenceService::Stub> stub;
    std::promise<absl::Status> ended;
    std::shared_future<absl::Status> status;
  };
  Served& served_;
  std::deque<Call> calls_;
  size_t queued_ = 0;
};

// Opens the gate when a test ends in whatever way.
struct Opens {
  Gate& gate;
  ~Opens() { gate.Open(); }
};

ModelLoader Gated(Gate& gate) {
  return [&](const auto&, const auto&) { return std::make_unique<GatedModel>(gate); };
}

TEST_CASE("Worker: requests of several callers share a batch, and each gets its own row",
          "[worker][batch]") {
  Gate gate;
  Served served("max_batch_size: 8", Gated(gate));
  Calls calls(served);
  const Opens opens{gate};
  const size_t first = calls.Send(Row("blocks"));
  REQUIRE(gate.WaitForEntered(1));
  const std::vector<std::string> texts = {"one", "another", "", "and the last"};
  std::vector<size_t> others;
  for (const std::string& text : texts) others.push_back(calls.Queue(Row(text)));
  gate.Open();
  calls.CheckAnswered(first, "blocks");
  for (size_t i = 0; i < texts.size(); ++i) calls.CheckAnswered(others[i], texts[i]);

  grpc::ClientContext context;
  inference::ModelStatisticsResponse response;
  REQUIRE(served.stub().ModelStatistics(&context, {}, &response).ok());
  const auto& statistics = response.model_stats(0);
  CHECK(statistics.inference_count() == 5);
  CHECK(statistics.execution_count() == 2);
  CHECK(statistics.inference_stats().success().count() == 5);
  REQUIRE(statistics.batch_stats_size() == 2);
  CHECK(statistics.batch_stats(0).batch_size() == 1);
  CHECK(statistics.batch_stats(0).compute_infer().count() == 1);
  CHECK(statistics.batch_stats(1).batch_size() == 4);
  CHECK(statistics.batch_stats(1).compute_infer().count() == 1);

  const std::string metrics = Get(served.worker().operator_address(), "/metrics");
  const std::string labels = "model=\"echo\",version=\"7\"";
  for (const std::string& line :
       {"batch_rows_count{" + labels + "} 2", "batch_rows_sum{" + labels + "} 5",
        "batch_rows_bucket{" + labels + ",le=\"1\"} 1",
        "batch_rows_bucket{" + labels + ",le=\"4\"} 2",
        "stage_seconds_total{" + labels + ",stage=\"queue\"}",
        "stage_seconds_total{" + labels + ",stage=\"infer\"}", "running{" + labels + "} 0",
        "longest_run_seconds{" + labels + "} 0", "rejected_total{" + labels + "} 0",
        "refused_early_total{" + labels + "} 0", "expired_total{" + labels + "} 0",
        "cancelled_total{" + labels + "} 0", "elements_total{" + labels + "} 5",
        "padding_total{" + labels + "} 0", "apart_total{" + labels + "} 0",
        "output_mismatch_total{" + labels + "} 0"}) {
    CHECK_THAT(metrics, ContainsSubstring("\ntorchfleet_worker_" + line));
  }
}

// Behind the gate, fails when any row is poisoned.
class PoisonedModel : public GatedModel {
 public:
  using GatedModel::GatedModel;
  absl::StatusOr<std::vector<OutputTensor>> Run(const std::vector<BatchInput>& inputs,
                                                RunStages& stages) override {
    auto outputs = GatedModel::Run(inputs, stages);
    if (outputs->at(0).bytes.find("poison") != std::string_view::npos) {
      throw std::runtime_error("secret");
    }
    return outputs;
  }
};

TEST_CASE("Worker: who poisons a batch hurts nobody else in it", "[worker][batch]") {
  Gate gate;
  Served served("max_batch_size: 8",
                [&](const auto&, const auto&) { return std::make_unique<PoisonedModel>(gate); });
  Calls calls(served);
  const Opens opens{gate};
  calls.Send(Row("blocks"));
  REQUIRE(gate.WaitForEntered(1));
  const size_t before = calls.Queue(Row("before"));
  const size_t poison = calls.Queue(Row("poison"));
  const size_t after = calls.Queue(Row("after"));
  gate.Open();
  calls.CheckAnswered(before, "before");
  calls.CheckAnswered(after, "after");
  CHECK(absl::IsInternal(calls.status(poison)));
  CHECK_THAT(std::string(calls.status(poison).message()), !ContainsSubstring("secret"));
  CHECK_THAT(Get(served.worker().operator_address(), "/metrics"),
             ContainsSubstring("torchfleet_worker_apart_total{model=\"echo\",version=\"7\"} 1"));
}

ModelInferRequest With(ModelInferRequest request, const std::string& parameter, int64_t value) {
  (*request.mutable_parameters())[parameter].set_int64_param(value);
  return request;
}

TEST_CASE("Worker: the higher priority runs first", "[worker][queue]") {
  Gate gate;
  Served served("dynamic_batching { priority_levels: 3 default_priority_level: 2 }", Gated(gate));
  Calls calls(served);
  const Opens opens{gate};
  calls.Send(Text("blocks"));
  REQUIRE(gate.WaitForEntered(1));
  calls.Queue(With(Text("low"), "priority", 3));
  calls.Queue(Text("unnamed"));
  const size_t last = calls.Queue(With(Text("high"), "priority", 1));
  gate.Open();
  REQUIRE(gate.WaitForEntered(4));
  CHECK(gate.entered() == std::vector<std::string>{"blocks", "high", "unnamed", "low"});
  calls.CheckAnswered(last, "high");
}

TEST_CASE("Worker: a parameter that is none is INVALID_ARGUMENT with its field",
          "[worker][front]") {
  Served served("dynamic_batching { priority_levels: 3 default_priority_level: 2 }");
  ModelInferResponse response;
  const absl::Status beyond = served.Infer(With(Text("x"), "priority", 4), &response);
  CHECK(absl::IsInvalidArgument(beyond));
  CHECK(BadField(beyond) == "parameters[priority]");
  auto text = Text("x");
  (*text.mutable_parameters())["priority"].set_string_param("high");
  for (const auto& wrong :
       {With(Text("x"), "priority", -1), With(Text("x"), "timeout", -1), text}) {
    const absl::Status status = served.Infer(wrong, &response);
    CHECK(absl::IsInvalidArgument(status));
    CHECK(BadField(status) == "parameters");
  }
  CHECK(served.Infer(With(Text("x"), "priority", 3), &response).ok());
}

TEST_CASE("Worker: callers have their turns, whoever has more waiting", "[worker][queue]") {
  Gate gate;
  Served served("", Gated(gate));
  Calls calls(served);
  const Opens opens{gate};
  calls.Send(Text("blocks"), "greedy");
  REQUIRE(gate.WaitForEntered(1));
  for (int i = 0; i < 6; ++i) calls.Queue(Text("greedy"), "greedy");
  calls.Queue(Text("modest"), "modest");
  gate.Open();
  REQUIRE(gate.WaitForEntered(8));
  const std::vector<std::string> entered = gate.entered();
  CHECK(std::find(entered.begin(), entered.end(), "modest") - entered.begin() <= 2);
}

TEST_CASE("Worker: a request may say how long it waits, where the model allows it",
          "[worker][queue]") {
  for (const bool allowed : {true, false}) {
    CAPTURE(allowed);
    Gate gate;
    Served served(std::string("dynamic_batching { default_queue_policy { ") +
                      (allowed ? "allow_timeout_override: true" : "") + " } }",
                  Gated(gate));
    Calls calls(served);
    const Opens opens{gate};
    calls.Send(Text("blocks"));
    REQUIRE(gate.WaitForEntered(1));
    if (allowed) {
      const absl::Status status = calls.status(calls.Send(With(Text("waits"), "timeout", 1000)));
      CHECK(absl::IsDeadlineExceeded(status));
      CHECK_THAT(std::string(status.message()), ContainsSubstring("waited in the queue"));
      gate.Open();
    } else {
      const size_t call = calls.Queue(With(Text("waits"), "timeout", 1000));
      gate.Open();
      calls.CheckAnswered(call, "waits");
    }
    ModelInferResponse response;
    CHECK(served.Infer(Text("after"), &response).ok());
    CHECK(gate.Ran("waits") == !allowed);
  }
}

TEST_CASE("Worker: is ready when the model is warmed up", "[worker][load]") {
  constexpr char kWarmUp[] =
      "model_warmup { name: \"w\" count: 2 inputs { key: \"text\" value { data_type: TYPE_STRING "
      "dims: 1 zero_data: true } } }";
  Gate gate;
  auto starts = std::async([&] { return std::make_unique<Served>(kWarmUp, Gated(gate)); });
  const bool entered = gate.WaitForEntered(1);
  CHECK(entered);
  CHECK(starts.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  gate.Open();
  const auto served = starts.get();
  CHECK(gate.entered().size() == 2);
  ModelInferResponse response;
  CHECK(served->Infer(Text("x"), &response).ok());
  // It is nobody's request.
  grpc::ClientContext context;
  inference::ModelStatisticsResponse statistics;
  REQUIRE(served->stub().ModelStatistics(&context, {}, &statistics).ok());
  CHECK(statistics.model_stats(0).execution_count() == 1);
}

TEST_CASE("Worker: does not start when the warm-up fails", "[worker][load]") {
  const MonotonicClock clock;
  for (const std::string& warm_up :
       {std::string("inputs { key: \"x\" value { dims: 1 zero_data: true } }"),
        std::string("inputs { key: \"x\" value { dims: 2 zero_data: true } }"),
        std::string("inputs { key: \"x\" value { dims: 1 input_data_file: \"gone\" } }")}) {
    const TemporaryFolder root;
    root.Write("echo/config.pbtxt",
               "backend: \"pytorch\" input { name: \"x\" data_type: TYPE_FP32 dims: 1 } "
               "output { name: \"y\" data_type: TYPE_FP32 dims: 1 } "
               "parameters { key: \"fake\" value { string_value: \"throw\" } } "
               "model_warmup { name: \"w\" " +
                   warm_up + " }");
    root.Write("echo/1/model.pt", "");
    WorkerOptions options;
    options.repository = root.path().string();
    options.model = "echo";
    const absl::Status status = WorkerServer::Start(options, {}, LoadFakeModel, clock).status();
    CHECK_FALSE(status.ok());
    CHECK_THAT(std::string(status.message()), ContainsSubstring("model_warmup 'w'"));
  }
}

}  // namespace
}  // namespace torchfleet::worker
