#include "cli/client/inference_client.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include "absl/time/clock.h"
#include "base/grpc_status.h"
#include "base/status.h"
#include "cli/state/files.h"
#include "inference/grpc_service.grpc.pb.h"
#include "torchfleet/registry/v1/registry.grpc.pb.h"

namespace torchfleet::cli {
namespace {

std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address,
                                           const std::shared_ptr<grpc::ChannelCredentials>&
                                               credentials = grpc::InsecureChannelCredentials()) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

// What a person reads: the code's name and the server's words; or, when there
// was no server, where none was.
absl::Status Readable(const grpc::Status& status, const std::string& address) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = status.error_message();
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE &&
      text.find("failed to connect") != std::string::npos) {
    return absl::UnavailableError(
        fmt::format("nobody answers at {}; is the fleet running? (torchfleet up)", address));
  }
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  const std::string message = fmt::format("{}: {}", absl::StatusCodeToString(code), text);
  // The server was there: not the exit code of an address without one.
  return code == absl::StatusCode::kUnavailable ? absl::InternalError(message)
                                                : absl::Status(code, message);
}

}  // namespace

struct InferenceClient::Connection {
  std::string address;
  absl::Duration timeout;
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub;

  void Limit(grpc::ClientContext& context) const {
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  }
};

InferenceClient::InferenceClient(std::unique_ptr<Connection> connection)
    : connection_(std::move(connection)) {}

absl::StatusOr<std::unique_ptr<InferenceClient>> InferenceClient::Connect(
    const std::string& address, absl::Duration timeout, const std::string& tls_ca) {
  auto credentials = grpc::InsecureChannelCredentials();
  if (!tls_ca.empty()) {
    grpc::SslCredentialsOptions trust;
    ASSIGN_OR_RETURN(trust.pem_root_certs, ReadFile(tls_ca));
    credentials = grpc::SslCredentials(trust);
  }
  return std::unique_ptr<InferenceClient>(new InferenceClient(std::make_unique<Connection>(
      Connection{address, timeout,
                 inference::GRPCInferenceService::NewStub(OpenChannel(address, credentials))})));
}

InferenceClient::~InferenceClient() = default;

absl::StatusOr<inference::ModelMetadataResponse> InferenceClient::Metadata(
    const std::string& model, const std::string& version) {
  inference::ModelMetadataRequest request;
  request.set_name(model);
  request.set_version(version);
  inference::ModelMetadataResponse response;
  grpc::ClientContext context;
  connection_->Limit(context);
  const auto status = connection_->stub->ModelMetadata(&context, request, &response);
  if (!status.ok()) return Readable(status, connection_->address);
  return response;
}

absl::StatusOr<inference::ModelInferResponse> InferenceClient::Infer(
    const inference::ModelInferRequest& request) {
  inference::ModelInferResponse response;
  grpc::ClientContext context;
  connection_->Limit(context);
  const auto status = connection_->stub->ModelInfer(&context, request, &response);
  if (!status.ok()) return Readable(status, connection_->address);
  return response;
}

absl::StatusOr<torchfleet::registry::v1::WatchResponse> FleetSnapshot(const std::string& address,
                                                                      absl::Duration timeout) {
  namespace v1 = torchfleet::registry::v1;
  const auto stub = v1::RegistryService::NewStub(OpenChannel(address));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  const auto reader = stub->Watch(&context, v1::WatchRequest());
  v1::WatchResponse response;
  if (reader->Read(&response)) {
    context.TryCancel();
    v1::WatchResponse rest;
    while (reader->Read(&rest)) {
    }
    (void)reader->Finish();
    return response;
  }
  return Readable(reader->Finish(), address);
}

}  // namespace torchfleet::cli
