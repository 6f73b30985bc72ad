// CatalogueService as a bare client sees it.

#include <grpcpp/grpcpp.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "base/grpc_server.h"
#include "base/grpc_status.h"
#include "base/status.h"
#include "registry/catalogue/catalogue_service.h"
#include "registry/store/memory_store.h"
#include "tests/unit/registry/catalogue/messages.h"
#include "tests/unit/registry/catalogue/scripted_store.h"

namespace torchfleet::registry {
namespace {

// The service over a store, and a client.
class Served {
 public:
  explicit Served(Store& store) : catalogue_(store) {
    auto server = GrpcServer::Start("127.0.0.1:0", {&service_});
    REQUIRE(server.ok());
    server_ = *std::move(server);
    stub = v1::CatalogueService::NewStub(
        grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
  }
  ~Served() { server_->Drain(absl::ZeroDuration()); }

  template <typename Response, typename Request>
  absl::StatusOr<Response> Ask(grpc::Status (v1::CatalogueService::Stub::*method)(
                                   grpc::ClientContext*, const Request&, Response*),
                               const Request& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    Response response;
    const grpc::Status status = (stub.get()->*method)(&context, request, &response);
    if (!status.ok()) return FromGrpc(status);
    return response;
  }
  void Drain() { server_->Drain(absl::ZeroDuration()); }

  std::unique_ptr<v1::CatalogueService::Stub> stub;

 private:
  Catalogue catalogue_;
  CatalogueService service_ = CatalogueService(catalogue_);
  std::unique_ptr<GrpcServer> server_;
};

using Stub = v1::CatalogueService::Stub;

TEST_CASE("CatalogueService: every call does what its name says", "[registry][catalogue]") {
  const MonotonicClock clock;
  MemoryStore store(clock);
  Served served(store);
  v1::CreateModelRequest create;
  *create.mutable_model() = Mnist();
  const auto created = served.Ask(&Stub::CreateModel, create);
  REQUIRE(created.ok());
  CHECK(created->model().updated_by().starts_with("ipv4:127.0.0.1"));  // no actor: from where
  v1::UpdateModelRequest update;
  *update.mutable_model() = Mnist();
  update.set_actor("ann");
  update.set_revision(created->model().revision());
  CHECK(served.Ask(&Stub::UpdateModel, update)->model().updated_by() == "ann");
  CHECK(absl::IsAborted(served.Ask(&Stub::UpdateModel, update).status()));
  v1::GetModelRequest get;
  get.set_name("mnist");
  CHECK(served.Ask(&Stub::GetModel, get)->model().versions_size() == 3);
  CHECK(served.Ask(&Stub::ListModels, v1::ListModelsRequest())->models_size() == 1);
  v1::SetRouteRequest set;
  *set.mutable_route() = ToProd();
  CHECK(served.Ask(&Stub::SetRoute, set)->route().revision() > 0);
  v1::GetRouteRequest get_route;
  get_route.set_model("mnist");
  CHECK(served.Ask(&Stub::GetRoute, get_route)->route().rules_size() == 1);
  CHECK(served.Ask(&Stub::ListRoutes, v1::ListRoutesRequest())->routes_size() == 1);
  v1::DeleteModelRequest remove;
  remove.set_name("mnist");
  CHECK(absl::IsFailedPrecondition(served.Ask(&Stub::DeleteModel, remove).status()));
  v1::DeleteRouteRequest remove_route;
  remove_route.set_model("mnist");
  CHECK(served.Ask(&Stub::DeleteRoute, remove_route).ok());
  CHECK(served.Ask(&Stub::DeleteModel, remove).ok());
  CHECK(absl::IsNotFound(served.Ask(&Stub::GetModel, get).status()));
  CHECK(served.Ask(&Stub::ListChanges, v1::ListChangesRequest())->changes_size() == 5);
  create.mutable_model()->set_name("../x");
  const absl::Status wrong = served.Ask(&Stub::CreateModel, create).status();
  CHECK(absl::IsInvalidArgument(wrong));
  CHECK(BadField(wrong) == "model.name");
}

TEST_CASE("CatalogueService: a server drains though its store answers nobody",
          "[registry][catalogue]") {
  ScriptedStore store;
  Served served(store);
  absl::Status status;
  std::thread caller([&] {
    v1::CreateModelRequest create;
    *create.mutable_model() = Mnist();
    status = served.Ask(&Stub::CreateModel, create).status();
  });
  // The call has arrived when the server ends, or it is refused: both end it.
  served.Drain();
  caller.join();
  CHECK_FALSE(status.ok());
}

}  // namespace
}  // namespace torchfleet::registry
