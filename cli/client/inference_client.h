#pragma once
// Calls of the gateway, for the command line.
//
// Errors are the server's own; UNAVAILABLE when nobody answers, with the
// address, which is the user's own.

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "inference/grpc_service.pb.h"

namespace torchfleet::cli {

class InferenceClient {
 public:
  // `tls_ca`: a PEM file with who may have signed the server's certificate;
  // empty for a connection without TLS. INVALID_ARGUMENT when it cannot be read.
  static absl::StatusOr<std::unique_ptr<InferenceClient>> Connect(const std::string& address,
                                                                  absl::Duration timeout,
                                                                  const std::string& tls_ca);
  ~InferenceClient();

  absl::StatusOr<inference::ModelMetadataResponse> Metadata(const std::string& model,
                                                            const std::string& version);
  absl::StatusOr<inference::ModelInferResponse> Infer(const inference::ModelInferRequest& request);

 private:
  struct Connection;
  explicit InferenceClient(std::unique_ptr<Connection> connection);

  std::unique_ptr<Connection> connection_;
};

}  // namespace torchfleet::cli
