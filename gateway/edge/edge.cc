#include "gateway/edge/edge.h"

#include "base/ids.h"
#include "base/status.h"

namespace torchfleet::gateway {

absl::StatusOr<std::unique_ptr<Edge>> Edge::Start(const Options& options,
                                                  const std::vector<grpc::Service*>& control,
                                                  const Snapshot<FleetSnapshot>& fleet,
                                                  const BackendTable& backends,
                                                  const ModelCallsTable& calls) {
  auto edge = std::make_unique<Edge>();
  ASSIGN_OR_RETURN(edge->control_,
                   GrpcServer::Start("unix-abstract:torchfleet-" + RandomId(), control));
  ASSIGN_OR_RETURN(const net::Address behind, net::ParseAddress(edge->control_->address()));
  net::ServerOptions server_options;
  server_options.listen = options.listen;
  server_options.threads = options.threads;
  ASSIGN_OR_RETURN(edge->server_, net::Server::Start(server_options, [&fleet, &backends, &calls,
                                                                      behind](net::Loop& loop) {
                     return std::make_unique<EdgeService>(loop, fleet, backends, calls, behind);
                   }));
  return edge;
}

void Edge::Drain(absl::Duration limit) {
  server_->Drain(limit);
  control_->Drain(absl::ZeroDuration());
}

}  // namespace torchfleet::gateway
