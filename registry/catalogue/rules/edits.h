#pragma once
// What a request would change in the catalogue: one transaction, whole, with
// the conditions under which it was found to be right, and its entry in the
// audit trail. Pure.
//
// A transaction holds on to the items that its checks looked at: the item it
// replaces, the models that a route names, and kRoutesGuard where it was checked
// that no route names something. If one of these changes before the commit, the
// commit is refused and the request is to be checked anew.
//
// Errors of all: INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, ABORTED and
// FAILED_PRECONDITION, as catalogue.proto says.

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "registry/catalogue/rules/catalogue_view.h"
#include "registry/store/store.h"
#include "torchfleet/registry/v1/catalogue.pb.h"

namespace torchfleet::registry {

// Of the audit trail; the oldest beyond either go.
inline constexpr size_t kMaxChanges = 10000;
inline constexpr size_t kMaxChangeBytes = 64 << 20;

// What an edit gets from outside.
struct Stamp {
  absl::Time now;
  // Nobody else's.
  std::string id;
};

struct Edit {
  Transaction transaction;
  // Its entry; the model or the route in it is what is stored. Revisions are 0
  // until it is committed, but for what is removed.
  v1::Change change;
};

absl::StatusOr<Edit> EditOf(const CatalogueView& view, const v1::CreateModelRequest& request,
                            const Stamp& stamp);
absl::StatusOr<Edit> EditOf(const CatalogueView& view, const v1::UpdateModelRequest& request,
                            const Stamp& stamp);
absl::StatusOr<Edit> EditOf(const CatalogueView& view, const v1::DeleteModelRequest& request,
                            const Stamp& stamp);
absl::StatusOr<Edit> EditOf(const CatalogueView& view, const v1::SetRouteRequest& request,
                            const Stamp& stamp);
absl::StatusOr<Edit> EditOf(const CatalogueView& view, const v1::DeleteRouteRequest& request,
                            const Stamp& stamp);

// Whose model is not there, and whose route.
absl::Status NoModel(const std::string& name);
absl::Status NoRoute(const std::string& model);

}  // namespace torchfleet::registry
