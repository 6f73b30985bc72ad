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

// One resource, with its revision as ETag.
template <typename Resource>
OperatorAnswer One(int code, const Resource& resource) {
  OperatorAnswer answer = JsonAnswer(code, resource);
  answer.headers.emplace_back("ETag", fmt::format("\"{}\"", resource.revision()));
  return answer;
}

// For Serve: nothing more to fit; the response as it is.
constexpr auto AsItIs = [](const auto&) { return absl::OkStatus(); };
constexpr auto All = [](const auto& response) { return JsonAnswer(200, response); };

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

template <typename Request, typename Response, typename Fit, typename Show>
OperatorAnswer CatalogueRest::Serve(const OperatorRequest& from, std::string_view bound,
                                    const Fit& fit, const Show& show) const {
  Request request;
  absl::Status status = Fill(from, bound, request);
  if (status.ok()) status = fit(request);
  if (!status.ok()) return ErrorAnswer(status);
  const auto response =
      Await<Response>([&](auto done) { catalogue_.Call(request, std::move(done)); });
  return response.ok() ? show(*response) : ErrorAnswer(response.status());
}

OperatorAnswer CatalogueRest::Models(const OperatorRequest& from) const {
  if (from.method == "GET") {
    return Serve<v1::ListModelsRequest, v1::ListModelsResponse>(from, "", AsItIs, All);
  }
  if (from.method != "POST") return NotAllowed("GET, POST");
  return Serve<v1::CreateModelRequest, v1::CreateModelResponse>(
      from, "", [&](auto& request) { return FillFromBody(from, *request.mutable_model()); },
      [](const auto& response) { return One(201, response.model()); });
}

OperatorAnswer CatalogueRest::OneModel(const OperatorRequest& from, const std::string& name) const {
  const auto named = [&](auto& request) {
    request.set_name(name);
    return absl::OkStatus();
  };
  const auto show = [](const auto& response) { return One(200, response.model()); };
  if (from.method == "GET") {
    return Serve<v1::GetModelRequest, v1::GetModelResponse>(from, "name", named, show);
  }
  if (from.method == "DELETE") {
    return Serve<v1::DeleteModelRequest, v1::DeleteModelResponse>(from, "name", named, All);
  }
  if (from.method != "PUT") return NotAllowed("GET, PUT, DELETE");
  const auto fit = [&](v1::UpdateModelRequest& request) {
    RETURN_IF_ERROR(FillFromBody(from, *request.mutable_model()));
    RETURN_IF_ERROR(CheckBodysName("model.name", name, request.model().name()));
    request.mutable_model()->set_name(name);
    return absl::OkStatus();
  };
  return Serve<v1::UpdateModelRequest, v1::UpdateModelResponse>(from, "", fit, show);
}

OperatorAnswer CatalogueRest::Routes(const OperatorRequest& from) const {
  if (from.method == "GET") {
    return Serve<v1::ListRoutesRequest, v1::ListRoutesResponse>(from, "", AsItIs, All);
  }
  if (from.method != "POST") return NotAllowed("GET, POST");
  const auto fit = [&](v1::SetRouteRequest& request) {
    request.set_create_only(true);
    return FillFromBody(from, *request.mutable_route());
  };
  return Serve<v1::SetRouteRequest, v1::SetRouteResponse>(
      from, "create_only", fit, [](const auto& response) { return One(201, response.route()); });
}

OperatorAnswer CatalogueRest::OneRoute(const OperatorRequest& from,
                                       const std::string& model) const {
  const auto named = [&](auto& request) {
    request.set_model(model);
    return absl::OkStatus();
  };
  const auto show = [](const auto& response) { return One(200, response.route()); };
  if (from.method == "GET") {
    return Serve<v1::GetRouteRequest, v1::GetRouteResponse>(from, "model", named, show);
  }
  if (from.method == "DELETE") {
    return Serve<v1::DeleteRouteRequest, v1::DeleteRouteResponse>(from, "model", named, All);
  }
  if (from.method != "PUT") return NotAllowed("GET, PUT, DELETE");
  const auto fit = [&](v1::SetRouteRequest& request) {
    RETURN_IF_ERROR(FillFromBody(from, *request.mutable_route()));
    RETURN_IF_ERROR(CheckBodysName("route.model", model, request.route().model()));
    request.mutable_route()->set_model(model);
    return absl::OkStatus();
  };
  return Serve<v1::SetRouteRequest, v1::SetRouteResponse>(from, "create_only", fit, show);
}

OperatorAnswer CatalogueRest::Changes(const OperatorRequest& from) const {
  if (from.method != "GET") return NotAllowed("GET");
  return Serve<v1::ListChangesRequest, v1::ListChangesResponse>(from, "", AsItIs, All);
}

OperatorAnswer CatalogueRest::DrainThem(const OperatorRequest& request) const {
  if (request.method != "POST") return NotAllowed("POST");
  v1::DrainRequest drain;
  absl::Status status = FillFromBody(request, drain);
  if (status.ok()) status = Fill(request, "", drain);
  if (!status.ok()) return ErrorAnswer(status);
  const auto response =
      Await<v1::DrainResponse>([&](auto done) { drain_(drain, std::move(done)); });
  return response.ok() ? JsonAnswer(200, *response) : ErrorAnswer(response.status());
}

}  // namespace torchfleet::registry
