#pragma once
// Models, routes and changes for people. Pure.

#include <string>
#include <vector>

#include "torchfleet/registry/v1/catalogue.pb.h"

namespace torchfleet::cli {

// A line each, under a head line.
std::string ModelsAsTable(const std::vector<torchfleet::registry::v1::Model>& models);
std::string RoutesAsTable(const std::vector<torchfleet::registry::v1::Route>& routes);
std::string ChangesAsTable(const std::vector<torchfleet::registry::v1::Change>& changes);

// All of one, in lines.
std::string ModelAsText(const torchfleet::registry::v1::Model& model);
std::string RouteAsText(const torchfleet::registry::v1::Route& route);

}  // namespace torchfleet::cli
