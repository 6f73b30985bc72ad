#include "tests/unit/gateway/fake_backend.h"

#include <google/protobuf/text_format.h>

#include <chrono>
#include <map>
#include <set>
#include <stdexcept>

#include "gateway/discover/fleet.h"
#include "tests/unit/gateway/fleet_builder.h"

namespace torchfleet::gateway {
namespace {

class HeldCall final : public grpc::ServerUnaryReactor {
 public:
  explicit HeldCall(Counter& cancelled) : cancelled_(cancelled) {}
  void OnCancel() override {
    cancelled_.Add();
    Finish(grpc::Status::CANCELLED);
  }
  void OnDone() override { delete this; }

 private:
  Counter& cancelled_;
};

}  // namespace

void Counter::Add() {
  const std::lock_guard lock(mu_);
  ++value_;
  raised_.notify_all();
}

int Counter::value() {
  const std::lock_guard lock(mu_);
  return value_;
}

bool Counter::WaitFor(int target) {
  std::unique_lock lock(mu_);
  return raised_.wait_for(lock, std::chrono::seconds(30), [&] { return value_ >= target; });
}

FakeBackend::FakeBackend(Handler handler) : handler_(std::move(handler)) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.SetMaxReceiveMessageSize(-1);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  address_ = "127.0.0.1:" + std::to_string(port);
}

FakeBackend::~FakeBackend() { Kill(); }

void FakeBackend::Kill() {
  if (!server_) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  server_.reset();
}

grpc::ServerUnaryReactor* FakeBackend::ModelInfer(grpc::CallbackServerContext* context,
                                                  const inference::ModelInferRequest* request,
                                                  inference::ModelInferResponse* response) {
  calls_.Add();
  response->set_model_name(request->model_name());
  response->set_id(request->id());
  const auto status = handler_(*context, *request, *response);
  if (!status) return new HeldCall(cancelled_);
  auto* reactor = context->DefaultReactor();
  reactor->Finish(*status);
  return reactor;
}

grpc::ServerUnaryReactor* FakeBackend::ModelMetadata(grpc::CallbackServerContext* context,
                                                     const inference::ModelMetadataRequest* request,
                                                     inference::ModelMetadataResponse* response) {
  response->set_name(request->name());
  response->add_versions("1");
  response->set_platform("fake");
  auto* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

TestGateway::TestGateway()
    : backends_(2), calls_(clock_.Now(), 2), front_(fleet_, backends_, calls_, clock_) {
  auto edge = Edge::Start({.listen = "127.0.0.1:0", .threads = 2}, {&front_},
                          {fleet_, backends_, calls_, quarantine_, trials_});
  if (!edge.ok()) throw std::runtime_error(edge.status().ToString());
  edge_ = *std::move(edge);
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  channel_ =
      grpc::CreateCustomChannel(edge_->address(), grpc::InsecureChannelCredentials(), arguments);
  stub_ = inference::GRPCInferenceService::NewStub(channel_);
}

TestGateway::~TestGateway() { edge_->Drain(absl::ZeroDuration()); }

void TestGateway::SetFleet(const std::vector<TestWorker>& workers,
                           const std::vector<std::string>& routes) {
  std::vector<registry::v1::Endpoint> endpoints;
  for (const TestWorker& worker : workers) {
    auto endpoint = MakeEndpoint(worker.id, worker.model, worker.version, worker.state);
    endpoint.mutable_worker()->set_address(worker.address);
    endpoints.push_back(endpoint);
  }
  auto said = MakeSnapshot("i", endpoints);
  for (const std::string& route : routes) {
    auto* const added = said.mutable_snapshot()->add_routes();
    if (!google::protobuf::TextFormat::ParseFromString(route, added)) {
      throw std::runtime_error("no route: " + route);
    }
  }
  Fleet fleet;
  const FleetChange change = fleet.Apply(said, clock_.Now()).change;
  calls_.Add(change.new_models, clock_.Now());
  backends_.Update(change.addresses, clock_.Now());
  trials_.Update(fleet.Snapshot());
  fleet_.Set(fleet.Snapshot());
}

grpc::Status TestGateway::Infer(const std::string& model, inference::ModelInferResponse& response) {
  grpc::ClientContext context;
  context.set_deadline(After(absl::Seconds(30)));
  inference::ModelInferRequest request;
  request.set_model_name(model);
  request.set_id("the caller's");
  return stub_->ModelInfer(&context, request, &response);
}

grpc::Status TestGateway::Infer(const std::string& model) {
  inference::ModelInferResponse response;
  return Infer(model, response);
}

std::chrono::system_clock::time_point After(absl::Duration duration) {
  return std::chrono::system_clock::now() + absl::ToChronoMicroseconds(duration);
}

}  // namespace torchfleet::gateway
