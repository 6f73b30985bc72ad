#pragma once
// Which header fields travel from one side of the gateway to the other. Pure.

#include <string_view>

#include "net/http/headers.h"

namespace torchfleet::gateway {

// Not what belongs to one hop alone: pseudo-headers, content-type, te,
// user-agent, gRPC's own but for a worker's advice when to come back, and what
// only a gateway says of its callers.
bool Travels(std::string_view name);

// Adds the fields of `from` that travel, but for traceparent and x-request-id,
// which CallIds adds.
void AddTravelling(const net::Headers& from, net::Headers& to);

}  // namespace torchfleet::gateway
