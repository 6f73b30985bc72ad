#pragma once
// The OpenAPI 3.1 document of what routes.h knows: its paths are made from the
// same table, so none is forgotten and none made up. What they have in common
// (schemas, parameters, answers by code) stands in openapi_base.json.
//
// Pure; thread-safe.

#include <string>

namespace torchfleet::gateway::rest {

// openapi_base.json.
extern const char kOpenApiBase[];

// GET /openapi.json. Made anew at each call; keep it.
std::string OpenApiDocument();

}  // namespace torchfleet::gateway::rest
