#include "cli/up/catalogue_publisher.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>

#include "base/grpc_status.h"
#include "base/status.h"
#include "cli/up/published_model.h"

namespace torchfleet::cli {
namespace {

namespace v1 = registry::v1;
using Catalogue = v1::CatalogueService::Stub;

constexpr std::chrono::seconds kLongest(5);
constexpr char kActor[] = "torchfleet up";
// Somebody else may change a model between our look and our change.
constexpr int kMostTries = 8;

struct Call {
  Call() { context.set_deadline(std::chrono::system_clock::now() + kLongest); }
  grpc::ClientContext context;
};

absl::StatusOr<v1::Model> Known(Catalogue& catalogue, const std::string& name) {
  Call call;
  v1::GetModelRequest request;
  request.set_name(name);
  v1::GetModelResponse response;
  RETURN_IF_ERROR(FromGrpc(catalogue.GetModel(&call.context, request, &response)));
  return response.model();
}

absl::Status Create(Catalogue& catalogue, const v1::Model& model) {
  Call call;
  v1::CreateModelRequest request;
  *request.mutable_model() = model;
  request.set_actor(kActor);
  v1::CreateModelResponse response;
  return FromGrpc(catalogue.CreateModel(&call.context, request, &response));
}

absl::Status Update(Catalogue& catalogue, const v1::Model& model) {
  Call call;
  v1::UpdateModelRequest request;
  *request.mutable_model() = model;
  request.set_revision(model.revision());
  request.set_actor(kActor);
  v1::UpdateModelResponse response;
  return FromGrpc(catalogue.UpdateModel(&call.context, request, &response));
}

}  // namespace

CataloguePublisher::CataloguePublisher(std::filesystem::path repository,
                                       const std::string& registry_addresses)
    : repository_(std::move(repository)),
      channel_(registry_addresses, std::random_device{}()),
      catalogue_(v1::CatalogueService::NewStub(channel_.Get())) {}

absl::Status CataloguePublisher::TryToPublish(const std::string& name,
                                              const std::vector<int64_t>& versions, int replicas) {
  const auto known = Known(*catalogue_, name);
  if (!known.ok() && !absl::IsNotFound(known.status())) return known.status();
  std::vector<int64_t> there;
  std::copy_if(versions.begin(), versions.end(), std::back_inserter(there), [&](int64_t version) {
    std::error_code error;
    return std::filesystem::exists(repository_ / name / std::to_string(version), error);
  });
  ASSIGN_OR_RETURN(const v1::Model found,
                   FoundModel(repository_, name, there, known.value_or(v1::Model())));
  if (!known.ok()) {
    return Create(*catalogue_, BroughtUpToDate(found, found, replicas).value_or(found));
  }
  const auto wanted = BroughtUpToDate(*known, found, replicas);
  return wanted ? Update(*catalogue_, *wanted) : absl::OkStatus();
}

absl::Status CataloguePublisher::Publish(const std::string& name,
                                         const std::vector<int64_t>& versions, int replicas) {
  absl::Status status = absl::AbortedError("");
  for (int i = 0; i < kMostTries && absl::IsAborted(status); ++i) {
    status = TryToPublish(name, versions, replicas);
  }
  return status;
}

}  // namespace torchfleet::cli
