#include "cli/status/gateway_look.h"

#include "cli/client/operator_client.h"

namespace torchfleet::cli {

FleetFigures LookAtGateways(const std::string& named, const std::string& registry,
                            absl::Duration timeout) {
  FleetFigures figures;
  if (named.empty() && !registry.empty()) return figures;
  const auto addresses = GatewayOperators(named);
  if (!addresses.ok()) return figures;
  for (const OperatorReply& reply : AskOperators(*addresses, "GET", "/workers", timeout)) {
    if (reply.body.ok()) {
      AddPage(reply.address, *reply.body, figures);
    } else {
      figures.unheard.emplace_back(reply.body.status().message());
    }
  }
  return figures;
}

}  // namespace torchfleet::cli
