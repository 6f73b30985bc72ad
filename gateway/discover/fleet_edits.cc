#include "gateway/discover/fleet_edits.h"

#include <utility>

namespace torchfleet::gateway {
namespace {

using registry::v1::WORKER_STATE_READY;

void FindReady(FleetVersion& version) {
  std::vector<const registry::v1::Endpoint*> ready, disconnected;
  for (const auto& [id, endpoint] : version.endpoints) {
    if (endpoint->state() != WORKER_STATE_READY) continue;
    (endpoint->disconnected() ? disconnected : ready).push_back(endpoint.get());
  }
  version.ready_endpoints = std::move(ready.empty() ? disconnected : ready);
  version.ready.clear();
  version.ready.reserve(version.ready_endpoints.size());
  for (const auto* endpoint : version.ready_endpoints) {
    version.ready.push_back(endpoint->worker().address());
  }
}

bool InCatalogue(const FleetModel& model, const std::string& number) {
  if (!model.catalogued) return false;
  for (const auto& version : model.catalogued->versions()) {
    if (version.version() == number) return true;
  }
  return false;
}

}  // namespace

void FleetEdits::Put(const EndpointPtr& endpoint) {
  const auto& worker = endpoint->worker();
  edits_[worker.model()].versions[worker.version()].endpoints[worker.worker_id()] = endpoint;
}

void FleetEdits::Remove(const registry::v1::Worker& worker) {
  edits_[worker.model()].versions[worker.version()].endpoints[worker.worker_id()] = std::nullopt;
}

void FleetEdits::SetRemembered(const std::string& model, const std::string& version,
                               bool remembered) {
  edits_[model].versions[version].remembered = remembered;
}

void FleetEdits::SetModel(const std::string& name,
                          std::shared_ptr<const registry::v1::Model> model) {
  edits_[name].catalogued = std::move(model);
}

void FleetEdits::SetRoute(const std::string& name,
                          std::shared_ptr<const registry::v1::Route> route) {
  routes_[name] = route ? std::optional(std::move(route)) : std::nullopt;
}

FleetChange FleetEdits::Commit() {
  FleetChange change;
  change.none = edits_.empty() && routes_.empty() && seen_ == snapshot_.seen;
  snapshot_.seen = seen_;
  change.catalogue = !routes_.empty();
  SharedMap<std::shared_ptr<const FleetModel>>::Changes models;
  for (const auto& [name, edit] : edits_) {
    change.catalogue = change.catalogue || edit.catalogued.has_value();
    auto model = Edited(name, edit);
    if (model && !snapshot_.Model(name)) change.new_models.insert(name);
    models[name] = model ? std::optional(std::move(model)) : std::nullopt;
  }
  snapshot_.models = snapshot_.models.With(models);
  for (const auto& [name, route] : routes_) {
    const bool known = snapshot_.Model(name) || snapshot_.routes.contains(name);
    if (route && !known) change.new_models.insert(name);
  }
  snapshot_.routes = snapshot_.routes.With(routes_);
  edits_.clear();
  routes_.clear();
  return change;
}

std::shared_ptr<const FleetModel> FleetEdits::Edited(const std::string& name,
                                                     const ModelEdit& edit) {
  const FleetModel* const before = snapshot_.Model(name);
  auto model = std::make_shared<FleetModel>(before ? *before : FleetModel());
  std::map<std::string, VersionEdit> versions = edit.versions;
  if (edit.catalogued) {
    // Versions that one of both catalogues names may come or go.
    for (const auto& catalogued : {model->catalogued, *edit.catalogued}) {
      if (!catalogued) continue;
      for (const auto& version : catalogued->versions()) versions[version.version()];
    }
    model->catalogued = *edit.catalogued;
  }
  for (const auto& [number, version] : versions) EditVersion(name, number, version, *model);
  return model->versions.empty() && !model->catalogued ? nullptr : model;
}

void FleetEdits::EditVersion(const std::string& model, const std::string& number,
                             const VersionEdit& edit, FleetModel& into) {
  if (edit.remembered) {
    auto& remembered = remembered_[model];
    if (*edit.remembered) {
      remembered.insert(number);
    } else {
      remembered.erase(number);
    }
    if (remembered.empty()) remembered_.erase(model);
  }
  const auto known = into.versions.find(number);
  if (edit.endpoints.empty() && known != into.versions.end() && !known->second->endpoints.empty()) {
    return;
  }
  FleetVersion version = known == into.versions.end() ? FleetVersion() : *known->second;
  version.endpoints = version.endpoints.With(edit.endpoints);
  const auto remembered = remembered_.find(model);
  const bool is_known = !version.endpoints.empty() || InCatalogue(into, number) ||
                        (remembered != remembered_.end() && remembered->second.contains(number));
  if (!is_known) {
    into.versions.erase(number);
    return;
  }
  if (version.number == 0) version.number = ++versions_known_;
  FindReady(version);
  into.versions[number] = std::make_shared<const FleetVersion>(std::move(version));
}

}  // namespace torchfleet::gateway
