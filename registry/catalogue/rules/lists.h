#pragma once
// Reads of the catalogue: what a request for one or for many is answered. Pure.

#include "absl/status/statusor.h"
#include "registry/catalogue/rules/catalogue_view.h"
#include "torchfleet/registry/v1/catalogue.pb.h"

namespace torchfleet::registry {

absl::StatusOr<v1::GetModelResponse> AnswerTo(const CatalogueView& view,
                                              const v1::GetModelRequest& request);
absl::StatusOr<v1::ListModelsResponse> AnswerTo(const CatalogueView& view,
                                                const v1::ListModelsRequest& request);
absl::StatusOr<v1::GetRouteResponse> AnswerTo(const CatalogueView& view,
                                              const v1::GetRouteRequest& request);
absl::StatusOr<v1::ListRoutesResponse> AnswerTo(const CatalogueView& view,
                                                const v1::ListRoutesRequest& request);
absl::StatusOr<v1::ListChangesResponse> AnswerTo(const CatalogueView& view,
                                                 const v1::ListChangesRequest& request);

}  // namespace torchfleet::registry
