#pragma once
// Header fields of web calls: which of a browser's or an HTTP client's reach the
// worker. Pure.

#include "net/http/headers.h"

namespace torchfleet::gateway {

// Adds the fields of `from` that travel on: those that the caller made up, and
// not what its HTTP library or browser says of itself and of the connection.
void AddTravellingFromWeb(const net::Headers& from, net::Headers& to);

}  // namespace torchfleet::gateway
