#include "registry/catalogue/rules/edits.h"

#include <fmt/format.h>

#include <memory>
#include <set>
#include <utility>

#include "base/status.h"
#include "registry/catalogue/rules/fields.h"
#include "registry/catalogue/rules/model_rules.h"
#include "registry/catalogue/rules/references.h"
#include "registry/catalogue/rules/route_rules.h"
#include "registry/state/keys.h"

namespace torchfleet::registry {
namespace {

// Of old changes that one transaction removes: more than it adds, so that the
// trail comes back to its limit wherever it was.
constexpr int kMaxForgotten = 10;

google::protobuf::Timestamp Timestamp(absl::Time time) {
  google::protobuf::Timestamp stamp;
  const int64_t seconds = absl::ToUnixSeconds(time);
  stamp.set_seconds(seconds);
  stamp.set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return stamp;
}

Value Bytes(const google::protobuf::Message& message) {
  return std::make_shared<const std::string>(message.SerializeAsString());
}

// The registry's own fields; `before` is null for what is new.
template <typename Resource>
Resource Stamped(Resource resource, const Resource* before, const std::string& actor,
                 absl::Time now) {
  resource.clear_revision();
  *resource.mutable_updated_at() = Timestamp(now);
  *resource.mutable_created_at() = before ? before->created_at() : resource.updated_at();
  resource.set_updated_by(actor);
  return resource;
}

v1::Change ChangeBy(const std::string& actor, v1::Change::Action action, absl::Time now) {
  v1::Change change;
  *change.mutable_at() = Timestamp(now);
  change.set_actor(actor);
  change.set_action(action);
  return change;
}

// Adds the change to the trail, and lets go of what is too old.
void AddToTrail(const CatalogueView& view, const Stamp& stamp, Edit& edit) {
  std::vector<Write>& writes = edit.transaction.writes;
  const Value value = Bytes(edit.change);
  const std::string key =
      fmt::format("{}{:016x}-{}", kChanges, absl::ToUnixMicros(stamp.now), stamp.id);
  writes.push_back({.key = key, .value = value});
  size_t count = view.changes().size() + 1;
  size_t bytes = view.change_bytes() + value->size();
  int forgotten = 0;
  for (const auto& [place, kept] : view.changes()) {
    if ((count <= kMaxChanges && bytes <= kMaxChangeBytes) || ++forgotten > kMaxForgotten) break;
    writes.push_back({.key = place.second});
    --count;
    bytes -= kept.value->size();
  }
}

absl::Status Aborted(std::string_view what, uint64_t now, uint64_t demanded) {
  return absl::AbortedError(
      fmt::format("{} is at revision {}, not {}: somebody changed it meanwhile; read it again and "
                  "repeat the change",
                  what, now, demanded));
}

std::string ModelText(const std::string& name) { return fmt::format("model '{}'", Clip(name)); }
std::string RouteText(const std::string& model) {
  return fmt::format("the route for model '{}'", Clip(model));
}

// The model to change, at the revision demanded.
absl::StatusOr<const v1::Model*> Demanded(const CatalogueView& view, const std::string& name,
                                          uint64_t revision) {
  const v1::Model* const model = view.FindModel(name);
  if (!model) return NoModel(name);
  if (revision != 0 && revision != model->revision()) {
    return Aborted(ModelText(name), model->revision(), revision);
  }
  return model;
}

// No route may come to name what is gone after the change: what was checked here
// holds as long as no route is set.
absl::Status GuardRoutes(const CatalogueView& view, const v1::Model& before, const v1::Model* after,
                         Transaction& transaction) {
  for (const auto& [_, route] : view.routes()) {
    RETURN_IF_ERROR(CheckStillThere(route, before, after));
  }
  transaction.conditions.push_back(
      {.key = std::string(kRoutesGuard), .modified = view.routes_guard()});
  return absl::OkStatus();
}

}  // namespace

absl::Status NoModel(const std::string& name) {
  return absl::NotFoundError(fmt::format("there is no {} in the catalogue", ModelText(name)));
}

absl::Status NoRoute(const std::string& model) {
  return absl::NotFoundError(fmt::format("there is no route for {}", ModelText(model)));
}

absl::StatusOr<Edit> EditOf(const CatalogueView& view, const v1::CreateModelRequest& request,
                            const Stamp& stamp) {
  RETURN_IF_ERROR(CheckText("actor", request.actor()));
  RETURN_IF_ERROR(CheckModel(request.model()));
  const std::string& name = request.model().name();
  if (const v1::Model* const there = view.FindModel(name)) {
    return absl::AlreadyExistsError(
        fmt::format("there is {} already, at revision {}", ModelText(name), there->revision()));
  }
  Edit edit;
  edit.change = ChangeBy(request.actor(), v1::Change::ACTION_CREATED, stamp.now);
  *edit.change.mutable_model() =
      Stamped<v1::Model>(request.model(), nullptr, request.actor(), stamp.now);
  edit.transaction.conditions.push_back({.key = Key(kModels, name), .modified = 0});
  edit.transaction.writes.push_back(
      {.key = Key(kModels, name), .value = Bytes(edit.change.model())});
  AddToTrail(view, stamp, edit);
  return edit;
}

absl::StatusOr<Edit> EditOf(const CatalogueView& view, const v1::UpdateModelRequest& request,
                            const Stamp& stamp) {
  RETURN_IF_ERROR(CheckText("actor", request.actor()));
  RETURN_IF_ERROR(CheckModel(request.model()));
  const std::string& name = request.model().name();
  ASSIGN_OR_RETURN(const v1::Model* const before, Demanded(view, name, request.revision()));
  Edit edit;
  edit.transaction.conditions.push_back(
      {.key = Key(kModels, name), .modified = before->revision()});
  if (!request.force() && Narrows(*before, request.model())) {
    RETURN_IF_ERROR(GuardRoutes(view, *before, &request.model(), edit.transaction));
  }
  edit.change = ChangeBy(request.actor(), v1::Change::ACTION_UPDATED, stamp.now);
  *edit.change.mutable_model() =
      Stamped<v1::Model>(request.model(), before, request.actor(), stamp.now);
  edit.transaction.writes.push_back(
      {.key = Key(kModels, name), .value = Bytes(edit.change.model())});
  AddToTrail(view, stamp, edit);
  return edit;
}

absl::StatusOr<Edit> EditOf(const CatalogueView& view, const v1::DeleteModelRequest& request,
                            const Stamp& stamp) {
  RETURN_IF_ERROR(CheckText("actor", request.actor()));
  RETURN_IF_ERROR(CheckName("name", request.name()));
  ASSIGN_OR_RETURN(const v1::Model* const before,
                   Demanded(view, request.name(), request.revision()));
  Edit edit;
  edit.transaction.conditions.push_back(
      {.key = Key(kModels, request.name()), .modified = before->revision()});
  if (!request.force()) {
    RETURN_IF_ERROR(GuardRoutes(view, *before, nullptr, edit.transaction));
  }
  edit.change = ChangeBy(request.actor(), v1::Change::ACTION_DELETED, stamp.now);
  *edit.change.mutable_model() = *before;
  edit.transaction.writes.push_back({.key = Key(kModels, request.name())});
  AddToTrail(view, stamp, edit);
  return edit;
}

absl::StatusOr<Edit> EditOf(const CatalogueView& view, const v1::SetRouteRequest& request,
                            const Stamp& stamp) {
  RETURN_IF_ERROR(CheckText("actor", request.actor()));
  RETURN_IF_ERROR(CheckRoute(request.route()));
  const std::string& name = request.route().model();
  if (request.create_only() && request.revision() != 0) {
    return FieldError("revision", fmt::format("is {} with create_only; expected one of them",
                                              request.revision()));
  }
  const v1::Route* const before = view.FindRoute(name);
  if (request.create_only() && before) {
    return absl::AlreadyExistsError(
        fmt::format("there is {} already, at revision {}", RouteText(name), before->revision()));
  }
  const uint64_t now = before ? before->revision() : 0;
  if (request.revision() != 0 && request.revision() != now) {
    return Aborted(RouteText(name), now, request.revision());
  }
  Edit edit;
  edit.transaction.conditions.push_back({.key = Key(kRoutes, name), .modified = now});
  if (!request.force()) {
    RETURN_IF_ERROR(CheckReferences(request.route(),
                                    [&](std::string_view model) { return view.FindModel(model); }));
    for (const std::string& model : ModelsNamed(request.route())) {
      edit.transaction.conditions.push_back(
          {.key = Key(kModels, model), .modified = view.FindModel(model)->revision()});
    }
  }
  edit.change = ChangeBy(
      request.actor(), before ? v1::Change::ACTION_UPDATED : v1::Change::ACTION_CREATED, stamp.now);
  *edit.change.mutable_route() =
      Stamped<v1::Route>(request.route(), before, request.actor(), stamp.now);
  edit.transaction.writes.push_back(
      {.key = Key(kRoutes, name), .value = Bytes(edit.change.route())});
  edit.transaction.writes.push_back(
      {.key = std::string(kRoutesGuard), .value = std::make_shared<const std::string>(name)});
  AddToTrail(view, stamp, edit);
  return edit;
}

absl::StatusOr<Edit> EditOf(const CatalogueView& view, const v1::DeleteRouteRequest& request,
                            const Stamp& stamp) {
  RETURN_IF_ERROR(CheckText("actor", request.actor()));
  RETURN_IF_ERROR(CheckName("model", request.model()));
  const v1::Route* const before = view.FindRoute(request.model());
  if (!before) return NoRoute(request.model());
  if (request.revision() != 0 && request.revision() != before->revision()) {
    return Aborted(RouteText(request.model()), before->revision(), request.revision());
  }
  Edit edit;
  edit.transaction.conditions.push_back(
      {.key = Key(kRoutes, request.model()), .modified = before->revision()});
  edit.change = ChangeBy(request.actor(), v1::Change::ACTION_DELETED, stamp.now);
  *edit.change.mutable_route() = *before;
  edit.transaction.writes.push_back({.key = Key(kRoutes, request.model())});
  AddToTrail(view, stamp, edit);
  return edit;
}

}  // namespace torchfleet::registry
