#pragma once
// Calls of the registry, for the command line.
//
// `addresses` is host:port, or several with commas between: the first that answers
// is asked. Errors are the server's own; INVALID_ARGUMENT for what is no address;
// UNAVAILABLE when nobody answers, with the address, which is the user's own.

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "torchfleet/registry/v1/registry.pb.h"

namespace torchfleet::cli {

// The registry that was named, or that of the fleet that runs here; UNAVAILABLE
// without either.
absl::StatusOr<std::string> RegistryAddresses(const std::string& named);

// The fleet as the registry knows it now.
absl::StatusOr<torchfleet::registry::v1::WatchResponse> FleetSnapshot(const std::string& addresses,
                                                                      absl::Duration timeout);

absl::StatusOr<torchfleet::registry::v1::DrainResponse> AskToDrain(
    const std::string& addresses, const torchfleet::registry::v1::DrainRequest& request,
    absl::Duration timeout);

// Who asks, for logs: user@host.
std::string Actor();

}  // namespace torchfleet::cli
