// A closed loop of ModelInfer calls: so many in flight, for so long.
//
// Prints one line of JSON: calls answered, failed and answered with another's
// id in the window, its seconds, latency quantiles in microseconds, and all
// calls made, warm-up included (to divide CPU time by). Inputs are
// zeros, made from the model's metadata with a batch of one row.

#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <iostream>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "inference/grpc_service.grpc.pb.h"
#include "nlohmann/json.hpp"
#include "wire/datatype.h"

namespace {

using Clock = std::chrono::steady_clock;
using inference::GRPCInferenceService;
using inference::ModelInferRequest;
using inference::ModelInferResponse;

struct Options {
  std::string target;
  std::string model;
  int in_flight = 1;
  int connections = 1;
  double warmup_seconds = 0.5;
  double seconds = 3;
};

std::vector<std::unique_ptr<GRPCInferenceService::Stub>> Connect(const Options& options) {
  std::vector<std::unique_ptr<GRPCInferenceService::Stub>> stubs;
  for (int i = 0; i < options.connections; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stubs.push_back(GRPCInferenceService::NewStub(
        grpc::CreateCustomChannel(options.target, grpc::InsecureChannelCredentials(), arguments)));
  }
  return stubs;
}

ModelInferRequest MakeRequest(GRPCInferenceService::Stub& stub, const std::string& model) {
  inference::ModelMetadataRequest ask;
  ask.set_name(model);
  inference::ModelMetadataResponse metadata;
  grpc::ClientContext context;
  const grpc::Status status = stub.ModelMetadata(&context, ask, &metadata);
  if (!status.ok())
    throw std::runtime_error("metadata of " + model + ": " + status.error_message());
  ModelInferRequest request;
  request.set_model_name(model);
  for (const auto& tensor : metadata.inputs()) {
    const auto type = torchfleet::wire::ParseDataType(tensor.datatype());
    if (!type || torchfleet::wire::ElementSize(*type) == 0) {
      throw std::runtime_error("input " + tensor.name() + " is " + tensor.datatype() +
                               "; this driver makes inputs of fixed-size elements only");
    }
    auto* input = request.add_inputs();
    input->set_name(tensor.name());
    input->set_datatype(tensor.datatype());
    size_t bytes = torchfleet::wire::ElementSize(*type);
    for (const int64_t dimension : tensor.shape()) {
      const int64_t size = dimension < 0 ? 1 : dimension;
      input->add_shape(size);
      bytes *= static_cast<size_t>(size);
    }
    request.add_raw_input_contents(std::string(bytes, '\0'));
  }
  return request;
}

// Shared by all callers of a run. The clock opens and closes the window; calls
// that end outside it are not counted.
struct Run {
  Clock::time_point opens, closes;
  std::mutex mutex;
  std::condition_variable ended;
  int running = 0;                 // guarded by mutex
  std::vector<uint32_t> latency;   // microseconds, guarded by mutex
  uint64_t failed = 0, wrong = 0;  // guarded by mutex
  uint64_t all = 0;                // guarded by mutex
  std::string first_error;         // guarded by mutex
};

// One call after another until the window closes.
class Caller {
 public:
  Caller(Run& run, GRPCInferenceService::Stub& stub, ModelInferRequest request, int number)
      : run_(run),
        stub_(stub),
        request_(std::move(request)),
        prefix_(std::to_string(number) + "-") {
    latency_.reserve(1 << 16);
  }

  void Next() {
    context_ = std::make_unique<grpc::ClientContext>();
    request_.set_id(prefix_ + std::to_string(++count_));
    begun_ = Clock::now();
    stub_.async()->ModelInfer(context_.get(), &request_, &response_,
                              [this](grpc::Status status) { Done(status); });
  }

 private:
  void Done(const grpc::Status& status) {
    const auto now = Clock::now();
    if (now >= run_.opens && now < run_.closes) {
      if (!status.ok()) {
        ++failed_;
        if (error_.empty()) error_ = status.error_message();
      } else if (response_.id() != request_.id()) {
        ++wrong_;
      } else {
        latency_.push_back(static_cast<uint32_t>(
            std::chrono::duration_cast<std::chrono::microseconds>(now - begun_).count()));
      }
    }
    if (now < run_.closes) return Next();
    const std::lock_guard lock(run_.mutex);
    run_.latency.insert(run_.latency.end(), latency_.begin(), latency_.end());
    run_.failed += failed_;
    run_.wrong += wrong_;
    run_.all += count_;
    if (run_.first_error.empty()) run_.first_error = error_;
    if (--run_.running == 0) run_.ended.notify_all();
  }

  Run& run_;
  GRPCInferenceService::Stub& stub_;
  ModelInferRequest request_;
  const std::string prefix_;
  ModelInferResponse response_;
  std::unique_ptr<grpc::ClientContext> context_;
  Clock::time_point begun_;
  uint64_t count_ = 0, failed_ = 0, wrong_ = 0;
  std::vector<uint32_t> latency_;
  std::string error_;
};

nlohmann::json Measure(const Options& options) {
  const auto stubs = Connect(options);
  const ModelInferRequest request = MakeRequest(*stubs[0], options.model);
  const auto seconds = [](double s) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
  };
  Run run;
  run.running = options.in_flight;
  run.opens = Clock::now() + seconds(options.warmup_seconds);
  run.closes = run.opens + seconds(options.seconds);
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < options.in_flight; ++i) {
    callers.push_back(std::make_unique<Caller>(
        run, *stubs[static_cast<size_t>(i % options.connections)], request, i));
  }
  for (const auto& caller : callers) caller->Next();
  std::unique_lock lock(run.mutex);
  run.ended.wait(lock, [&] { return run.running == 0; });

  std::sort(run.latency.begin(), run.latency.end());
  const auto quantile = [&](double q) -> uint32_t {
    if (run.latency.empty()) return 0;
    return run.latency[static_cast<size_t>(q * static_cast<double>(run.latency.size() - 1))];
  };
  return {
      {"calls", run.latency.size()}, {"all_calls", run.all},           {"failed", run.failed},
      {"wrong_id", run.wrong},       {"first_error", run.first_error}, {"seconds", options.seconds},
      {"p50_us", quantile(0.5)},     {"p90_us", quantile(0.9)},        {"p99_us", quantile(0.99)}};
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Calls one model in a closed loop and prints what came of it as JSON");
  app.add_option("target", options.target, "host:port of a gateway or worker")->required();
  app.add_option("model", options.model, "The model's name")->required();
  app.add_option("--in-flight", options.in_flight, "Calls at once")->capture_default_str();
  app.add_option("--connections", options.connections, "Over so many connections")
      ->capture_default_str();
  app.add_option("--warmup", options.warmup_seconds, "Seconds before the window opens")
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "Length of the window")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    std::cout << Measure(options).dump() << std::endl;
  } catch (const std::exception& error) {
    std::cerr << "torchfleet-bench-driver: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
