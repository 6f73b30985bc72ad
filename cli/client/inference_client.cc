#include "cli/client/inference_client.h"

#include <grpcpp/grpcpp.h>

#include "absl/time/clock.h"
#include "base/status.h"
#include "cli/client/channel.h"
#include "cli/state/files.h"
#include "inference/grpc_service.grpc.pb.h"

namespace torchfleet::cli {
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

}  // namespace torchfleet::cli
