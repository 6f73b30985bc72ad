#pragma once
// The durable catalogue: models, routes and who changed what, over the store.
//
// A write is checked against what this registry knows, and committed on
// condition that what was checked has not changed (rules/edits.h). One that is
// refused, by a check or by a condition, is checked once more against the latest
// state before its caller hears of it; so another registry's changes are never
// missed, and a write that went well cost one commit.
//
//   check ─► commit ─► answered
//     ▲         │ a condition did not hold
//     └─ latest ◄┘ (at most kMaxTries)
//
// A read waits until this registry knows of all that was acknowledged anywhere
// before it, or, with allow_stale, answers with what is at hand.
//
// Lifecycle: borrows the store, which outlives it. Destruction answers reads
// that still wait with CANCELLED; a commit under way is answered by the store.
// Thread-safe. Answers come inside the call or on the store's threads; they must
// not block.

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "registry/catalogue/catalogue_follower.h"
#include "registry/store/store.h"
#include "torchfleet/registry/v1/catalogue.pb.h"

namespace torchfleet::registry {

class Catalogue {
 public:
  template <typename Response>
  using Answer = std::function<void(absl::StatusOr<Response>)>;
  // The date, for people who read the trail.
  using Date = std::function<absl::Time()>;

  static constexpr int kMaxTries = 16;

  explicit Catalogue(Store& store, Date date = absl::Now);
  ~Catalogue();

  // CatalogueService's calls, with its errors. UNAVAILABLE when the store is
  // away or this registry has not read it yet.
  void Call(v1::CreateModelRequest request, Answer<v1::CreateModelResponse> done);
  void Call(v1::GetModelRequest request, Answer<v1::GetModelResponse> done);
  void Call(v1::ListModelsRequest request, Answer<v1::ListModelsResponse> done);
  void Call(v1::UpdateModelRequest request, Answer<v1::UpdateModelResponse> done);
  void Call(v1::DeleteModelRequest request, Answer<v1::DeleteModelResponse> done);
  void Call(v1::SetRouteRequest request, Answer<v1::SetRouteResponse> done);
  void Call(v1::GetRouteRequest request, Answer<v1::GetRouteResponse> done);
  void Call(v1::ListRoutesRequest request, Answer<v1::ListRoutesResponse> done);
  void Call(v1::DeleteRouteRequest request, Answer<v1::DeleteRouteResponse> done);
  void Call(v1::ListChangesRequest request, Answer<v1::ListChangesResponse> done);

 private:
  template <typename Request, typename Response>
  void Read(const Request& request, Answer<Response> done);
  template <typename Request, typename Response>
  void Write(Request request, Answer<Response> done);

  const Date date_;
  // Kept by the store's callbacks too.
  const std::shared_ptr<CatalogueFollower> follower_;
};

}  // namespace torchfleet::registry
