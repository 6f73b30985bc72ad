#include "cli/catalogue/catalogue_client.h"

#include "base/status.h"
#include "cli/client/registry_client.h"
#include "registry/client/registry_channel.h"

namespace torchfleet::cli {

absl::StatusOr<CatalogueClient> CatalogueClient::Connect(const CatalogueOptions& options) {
  ASSIGN_OR_RETURN(const std::string named, RegistryAddresses(options.registry));
  ASSIGN_OR_RETURN(auto addresses, registry::ParseAddresses(named));
  return CatalogueClient(std::move(addresses), options.timeout);
}

}  // namespace torchfleet::cli
