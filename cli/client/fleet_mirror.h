#pragma once
// The fleet as the registry's watch has told it so far. Pure.

#include <map>
#include <string>

#include "torchfleet/registry/v1/registry.pb.h"

namespace torchfleet::cli {

class FleetMirror {
 public:
  void Apply(const registry::v1::WatchResponse& response);

  // By worker_id.
  const std::map<std::string, registry::v1::Endpoint>& workers() const { return workers_; }
  // By name.
  const std::map<std::string, registry::v1::Model>& models() const { return models_; }

  // By model.
  const std::map<std::string, registry::v1::Route>& routes() const { return routes_; }

  // What a watch that begins now would be told.
  registry::v1::WatchResponse Snapshot() const;

 private:
  std::map<std::string, registry::v1::Endpoint> workers_;
  std::map<std::string, registry::v1::Model> models_;
  std::map<std::string, registry::v1::Route> routes_;
};

}  // namespace torchfleet::cli
