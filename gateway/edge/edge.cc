#include "gateway/edge/edge.h"

#include <atomic>

#include "base/ids.h"
#include "base/status.h"

namespace torchfleet::gateway {

absl::StatusOr<std::unique_ptr<Edge>> Edge::Start(const Options& options,
                                                  const std::vector<grpc::Service*>& control,
                                                  const InferContext& context) {
  RETURN_IF_ERROR(CrossOrigin::Check(options.allowed_origins));
  auto edge = std::unique_ptr<Edge>(new Edge(options));
  if (!options.access_log.file.empty()) {
    ASSIGN_OR_RETURN(edge->access_log_, AccessLog::Open(options.access_log));
  }
  ASSIGN_OR_RETURN(edge->control_,
                   GrpcServer::Start("unix-abstract:torchfleet-" + RandomId(), control));
  ASSIGN_OR_RETURN(const net::Address behind, net::ParseAddress(edge->control_->address()));
  net::ServerOptions server_options;
  server_options.listen = options.listen;
  server_options.threads = options.threads;
  server_options.tls = options.tls;
  const EdgeContext shared{
      .infer = context, .origins = edge->origins_, .access_log = edge->access_log_.get()};
  auto loops = std::make_shared<std::atomic<size_t>>(0);
  ASSIGN_OR_RETURN(
      edge->server_, net::Server::Start(server_options, [shared, behind, loops](net::Loop& loop) {
        return std::make_unique<EdgeService>(loop, loops->fetch_add(1), shared, behind);
      }));
  return edge;
}

void Edge::Drain(absl::Duration limit) {
  server_->Drain(limit);
  control_->Drain(absl::ZeroDuration());
}

}  // namespace torchfleet::gateway
