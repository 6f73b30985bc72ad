#pragma once
// The catalogue's calls as functions that wait for the answer.

#include <chrono>
#include <future>
#include <memory>
#include <utility>

#include "registry/catalogue/catalogue.h"

namespace torchfleet::registry {

// DEADLINE_EXCEEDED when it says nothing for very long.
template <typename Response, typename Request>
absl::StatusOr<Response> Ask(Catalogue& catalogue, const Request& request) {
  const auto promise = std::make_shared<std::promise<absl::StatusOr<Response>>>();
  auto answer = promise->get_future();
  catalogue.Call(request, [promise](absl::StatusOr<Response> response) {
    promise->set_value(std::move(response));
  });
  if (answer.wait_for(std::chrono::seconds(60)) != std::future_status::ready) {
    return absl::DeadlineExceededError("the catalogue did not answer");
  }
  return answer.get();
}

inline absl::StatusOr<v1::CreateModelResponse> Create(Catalogue& catalogue,
                                                      const v1::Model& model) {
  v1::CreateModelRequest request;
  *request.mutable_model() = model;
  request.set_actor("test");
  return Ask<v1::CreateModelResponse>(catalogue, request);
}

inline absl::StatusOr<v1::UpdateModelResponse> Update(Catalogue& catalogue, const v1::Model& model,
                                                      uint64_t revision = 0) {
  v1::UpdateModelRequest request;
  *request.mutable_model() = model;
  request.set_revision(revision);
  return Ask<v1::UpdateModelResponse>(catalogue, request);
}

inline absl::StatusOr<v1::GetModelResponse> Get(Catalogue& catalogue, const std::string& name,
                                                bool allow_stale = false) {
  v1::GetModelRequest request;
  request.set_name(name);
  request.set_allow_stale(allow_stale);
  return Ask<v1::GetModelResponse>(catalogue, request);
}

inline absl::StatusOr<v1::SetRouteResponse> Set(Catalogue& catalogue, const v1::Route& route) {
  v1::SetRouteRequest request;
  *request.mutable_route() = route;
  return Ask<v1::SetRouteResponse>(catalogue, request);
}

inline absl::Status Delete(Catalogue& catalogue, const std::string& name) {
  v1::DeleteModelRequest request;
  request.set_name(name);
  return Ask<v1::DeleteModelResponse>(catalogue, request).status();
}

}  // namespace torchfleet::registry
