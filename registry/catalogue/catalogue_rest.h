#pragma once
// The catalogue as REST, for the operators' port:
//
//   GET POST         /v1/models         GET PUT DELETE  /v1/models/NAME
//   GET POST         /v1/routes         GET PUT DELETE  /v1/routes/MODEL
//   GET              /v1/changes
//   POST             /v1/drain
//
// Bodies are Model, Route and DrainRequest as proto3's JSON, and are taken as
// application/json alone: a web page elsewhere cannot send that without asking.
// ETag is the revision, If-Match demands it.
//
// Borrows the catalogue. Thread-safe. Blocks until the catalogue answers, at
// most kRestPatience.

#include <functional>

#include "absl/status/statusor.h"
#include "base/operator_page.h"
#include "registry/catalogue/catalogue.h"
#include "torchfleet/registry/v1/registry.pb.h"

namespace torchfleet {
class OperatorServer;
}

namespace torchfleet::registry {

inline constexpr absl::Duration kRestPatience = absl::Seconds(30);

class CatalogueRest {
 public:
  // RegistryService's Drain.
  using Drain = std::function<void(v1::DrainRequest, Catalogue::Answer<v1::DrainResponse>)>;

  CatalogueRest(Catalogue& catalogue, Drain drain)
      : catalogue_(catalogue), drain_(std::move(drain)) {}

  // Adds its pages to the server. It outlives the server.
  void AddTo(OperatorServer& server) const;

  OperatorAnswer Answer(const OperatorRequest& request) const;

 private:
  // Reads the query, fits the request to path and body, asks, shows the answer.
  template <typename Request, typename Response, typename Fit, typename Show>
  OperatorAnswer Serve(const OperatorRequest& from, std::string_view bound, const Fit& fit,
                       const Show& show) const;
  OperatorAnswer Models(const OperatorRequest& from) const;
  OperatorAnswer OneModel(const OperatorRequest& from, const std::string& name) const;
  OperatorAnswer Routes(const OperatorRequest& from) const;
  OperatorAnswer OneRoute(const OperatorRequest& from, const std::string& model) const;
  OperatorAnswer Changes(const OperatorRequest& from) const;
  OperatorAnswer DrainThem(const OperatorRequest& request) const;

  Catalogue& catalogue_;
  const Drain drain_;
};

}  // namespace torchfleet::registry
