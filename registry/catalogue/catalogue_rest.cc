#include "registry/catalogue/catalogue_rest.h"

#include <fmt/format.h>

#include <chrono>
#include <future>
#include <memory>
#include <utility>

#include "base/metrics.h"
#include "base/status.h"
#include "registry/catalogue/rest_text.h"
#include "registry/catalogue/rules/fields.h"

namespace torchfleet::registry {
namespace {

// What `call` answers, as long as patience lasts.
template <typename Response, typename Call>
absl::StatusOr<Response> Await(const Call& call) {
  const auto promise = std::make_shared<std::promise<absl::StatusOr<Response>>>();
  auto answer = promise->get_future();
  call([promise](absl::StatusOr<Response> response) { promise->set_value(std::move(response)); });
  if (answer.wait_for(absl::ToChronoMilliseconds(kRestPatience)) != std::future_status::ready) {
    return absl::DeadlineExceededError(
        "the registry's store has not answered in time; a change may have happened all the same");
  }
  return answer.get();
}

template <typename Response, typename Request>
absl::StatusOr<Response> Ask(Catalogue& catalogue, const Request& request) {
  return Await<Response>([&](auto done) { catalogue.Call(request, std::move(done)); });
}

// A whole answer.
template <typename Response>
OperatorAnswer Whole(const absl::StatusOr<Response>& response) {
  return response.ok() ? JsonAnswer(200, *response) : ErrorAnswer(response.status());
}

// One resource, with its revision as ETag.
template <typename Resource>
OperatorAnswer One(int code, const Resource& resource) {
  OperatorAnswer answer = JsonAnswer(code, resource);
  answer.headers.emplace_back("ETag", fmt::format("\"{}\"", resource.revision()));
  return answer;
}

OperatorAnswer NotAllowed(std::string_view allowed) {
  OperatorAnswer answer = HttpErrorAnswer(405, fmt::format("expected {}", allowed));
  answer.headers.emplace_back("Allow", std::string(allowed));
  return answer;
}

bool IsJson(std::string_view content_type) {
  return content_type.substr(0, content_type.find(';')) == "application/json";
}

// A request of who, what it demands, and parameters.
template <typename Request>
absl::Status Fill(const OperatorRequest& from, std::string_view bound, Request& request) {
  RETURN_IF_ERROR(FillFromQuery(from, bound, request));
  if constexpr (requires { request.revision(); }) {
    uint64_t revision = request.revision();
    RETURN_IF_ERROR(FillFromIfMatch(from, revision));
    request.set_revision(revision);
  }
  if constexpr (requires { request.actor(); }) {
    if (request.actor().empty()) request.set_actor(from.peer);
  }
  return absl::OkStatus();
}

// The body's name is the path's, or none.
absl::Status CheckBodysName(std::string_view field, const std::string& in_path,
                            const std::string& in_body) {
  if (in_body.empty() || in_body == in_path) return absl::OkStatus();
  return FieldError(field,
                    fmt::format("is '{}' in the body and '{}' in the path; expected the same",
                                Clip(in_body), Clip(in_path)));
}

}  // namespace

void CatalogueRest::AddTo(OperatorServer& server) const {
  for (const char* path : {"/v1/models", "/v1/routes", "/v1/changes", "/v1/drain"}) {
    server.AddPage(path, [this](const OperatorRequest& request) { return Answer(request); });
  }
}

OperatorAnswer CatalogueRest::Answer(const OperatorRequest& request) const {
  const bool has_body = request.method == "POST" || request.method == "PUT";
  if (has_body && !IsJson(request.content_type)) {
    return HttpErrorAnswer(415, fmt::format("the body is '{}'; expected application/json",
                                            Clip(request.content_type)));
  }
  const auto& path = request.path;
  const size_t words = path.size();
  if (words == 2 && path[1] == "models") return Models(request);
  if (words == 3 && path[1] == "models") return OneModel(request, path[2]);
  if (words == 2 && path[1] == "routes") return Routes(request);
  if (words == 3 && path[1] == "routes") return OneRoute(request, path[2]);
  if (words == 2 && path[1] == "changes") return Changes(request);
  if (words == 2 && path[1] == "drain") return DrainThem(request);
  return HttpErrorAnswer(404, "there is nothing at this path");
}

OperatorAnswer CatalogueRest::Models(const OperatorRequest& request) const {
  if (request.method == "GET") {
    v1::ListModelsRequest list;
    if (const auto status = Fill(request, "", list); !status.ok()) return ErrorAnswer(status);
    return Whole(Ask<v1::ListModelsResponse>(catalogue_, list));
  }
  if (request.method != "POST") return NotAllowed("GET, POST");
  v1::CreateModelRequest create;
  absl::Status status = Fill(request, "", create);
  if (status.ok()) status = FillFromBody(request, *create.mutable_model());
  if (!status.ok()) return ErrorAnswer(status);
  const auto response = Ask<v1::CreateModelResponse>(catalogue_, create);
  return response.ok() ? One(201, response->model()) : ErrorAnswer(response.status());
}

OperatorAnswer CatalogueRest::OneModel(const OperatorRequest& request,
                                       const std::string& name) const {
  if (request.method == "GET") {
    v1::GetModelRequest get;
    if (const auto status = Fill(request, "name", get); !status.ok()) return ErrorAnswer(status);
    get.set_name(name);
    const auto response = Ask<v1::GetModelResponse>(catalogue_, get);
    return response.ok() ? One(200, response->model()) : ErrorAnswer(response.status());
  }
  if (request.method == "DELETE") {
    v1::DeleteModelRequest remove;
    if (const auto status = Fill(request, "name", remove); !status.ok()) {
      return ErrorAnswer(status);
    }
    remove.set_name(name);
    return Whole(Ask<v1::DeleteModelResponse>(catalogue_, remove));
  }
  if (request.method != "PUT") return NotAllowed("GET, PUT, DELETE");
  v1::UpdateModelRequest update;
  absl::Status status = Fill(request, "", update);
  if (status.ok()) status = FillFromBody(request, *update.mutable_model());
  if (status.ok()) status = CheckBodysName("model.name", name, update.model().name());
  if (!status.ok()) return ErrorAnswer(status);
  update.mutable_model()->set_name(name);
  const auto response = Ask<v1::UpdateModelResponse>(catalogue_, update);
  return response.ok() ? One(200, response->model()) : ErrorAnswer(response.status());
}

OperatorAnswer CatalogueRest::Routes(const OperatorRequest& request) const {
  if (request.method == "GET") {
    v1::ListRoutesRequest list;
    if (const auto status = Fill(request, "", list); !status.ok()) return ErrorAnswer(status);
    return Whole(Ask<v1::ListRoutesResponse>(catalogue_, list));
  }
  if (request.method != "POST") return NotAllowed("GET, POST");
  v1::SetRouteRequest set;
  absl::Status status = Fill(request, "create_only", set);
  if (status.ok()) status = FillFromBody(request, *set.mutable_route());
  if (!status.ok()) return ErrorAnswer(status);
  set.set_create_only(true);
  const auto response = Ask<v1::SetRouteResponse>(catalogue_, set);
  return response.ok() ? One(201, response->route()) : ErrorAnswer(response.status());
}

OperatorAnswer CatalogueRest::OneRoute(const OperatorRequest& request,
                                       const std::string& model) const {
  if (request.method == "GET") {
    v1::GetRouteRequest get;
    if (const auto status = Fill(request, "model", get); !status.ok()) return ErrorAnswer(status);
    get.set_model(model);
    const auto response = Ask<v1::GetRouteResponse>(catalogue_, get);
    return response.ok() ? One(200, response->route()) : ErrorAnswer(response.status());
  }
  if (request.method == "DELETE") {
    v1::DeleteRouteRequest remove;
    if (const auto status = Fill(request, "model", remove); !status.ok()) {
      return ErrorAnswer(status);
    }
    remove.set_model(model);
    return Whole(Ask<v1::DeleteRouteResponse>(catalogue_, remove));
  }
  if (request.method != "PUT") return NotAllowed("GET, PUT, DELETE");
  v1::SetRouteRequest set;
  absl::Status status = Fill(request, "create_only", set);
  if (status.ok()) status = FillFromBody(request, *set.mutable_route());
  if (status.ok()) status = CheckBodysName("route.model", model, set.route().model());
  if (!status.ok()) return ErrorAnswer(status);
  set.mutable_route()->set_model(model);
  const auto response = Ask<v1::SetRouteResponse>(catalogue_, set);
  return response.ok() ? One(200, response->route()) : ErrorAnswer(response.status());
}

OperatorAnswer CatalogueRest::Changes(const OperatorRequest& request) const {
  if (request.method != "GET") return NotAllowed("GET");
  v1::ListChangesRequest list;
  if (const auto status = Fill(request, "", list); !status.ok()) return ErrorAnswer(status);
  return Whole(Ask<v1::ListChangesResponse>(catalogue_, list));
}

OperatorAnswer CatalogueRest::DrainThem(const OperatorRequest& request) const {
  if (request.method != "POST") return NotAllowed("POST");
  v1::DrainRequest drain;
  if (const auto status = FillFromBody(request, drain); !status.ok()) return ErrorAnswer(status);
  if (drain.actor().empty()) drain.set_actor(request.peer);
  return Whole(Await<v1::DrainResponse>([&](auto done) { drain_(drain, std::move(done)); }));
}

}  // namespace torchfleet::registry
