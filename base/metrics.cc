#include "base/metrics.h"

#include <prometheus/exposer.h>

#include <exception>

#include "absl/strings/str_cat.h"

namespace torchfleet {

absl::StatusOr<std::unique_ptr<OperatorServer>> OperatorServer::Start(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the operators' address is '", listen, "'; expected host:port"));
  }
  auto server = std::unique_ptr<OperatorServer>(new OperatorServer);
  try {
    server->exposer_ = std::make_unique<prometheus::Exposer>(listen, 1);
  } catch (const std::exception&) {
    // civetweb's own text names no cause.
    return absl::UnavailableError(absl::StrCat("cannot listen on ", listen,
                                               " for operators: the address is in use or not "
                                               "this machine's; choose another with "
                                               "--operator-listen"));
  }
  server->exposer_->RegisterCollectable(server->registry_);
  const auto ports = server->exposer_->GetListeningPorts();
  server->address_ = absl::StrCat(listen.substr(0, colon), ":", ports.empty() ? 0 : ports[0]);
  return server;
}

OperatorServer::~OperatorServer() = default;

void OperatorServer::Register(std::shared_ptr<prometheus::Collectable> collectable) {
  exposer_->RegisterCollectable(collectable);
  const std::lock_guard lock(mu_);
  collectables_.push_back(std::move(collectable));
}

}  // namespace torchfleet
