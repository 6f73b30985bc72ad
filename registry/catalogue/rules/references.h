#pragma once
// What routes name, and whether it exists. Pure.
//
// A route names the models, versions and aliases of its targets. It names its
// own model where calls may end there: by a target, or because some call matches
// no rule. So a route whose last rule takes every call to other models can give
// them another name.

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "torchfleet/registry/v1/catalogue.pb.h"

namespace torchfleet::registry {

// The model of a target of the route for `own`.
const std::string& ModelOf(const v1::RouteTarget& target, const std::string& own);

// One thing that a route names. Borrows from the route.
struct Reference {
  // Where, such as `route.rules[0].targets[1]`.
  std::string field;
  std::string_view model;
  // At most one of these.
  std::string_view version = {};
  std::string_view alias = {};
};

std::vector<Reference> ReferencesOf(const v1::Route& route);

// Each model that it names once, in order.
std::set<std::string> ModelsNamed(const v1::Route& route);

// The model of that name, or null.
using ModelLookup = std::function<const v1::Model*(std::string_view name)>;

// FAILED_PRECONDITION, with the field, for the first thing that the route names
// and that is not there.
absl::Status CheckReferences(const v1::Route& route, const ModelLookup& find);

// FAILED_PRECONDITION when `route` names something that `before` has and `after`
// has not. A model that is to be removed (null) may not be named at all.
absl::Status CheckStillThere(const v1::Route& route, const v1::Model& before,
                             const v1::Model* after);

// Whether something that a route could name is gone from `after`.
bool Narrows(const v1::Model& before, const v1::Model& after);

}  // namespace torchfleet::registry
