#include "registry/catalogue/catalogue_rest.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "registry/store/memory_store.h"
#include "tests/unit/registry/catalogue/scripted_store.h"

namespace torchfleet::registry {
namespace {

using Json = nlohmann::json;

class Rest {
 public:
  // A request to a path with a query, as it comes.
  OperatorAnswer Ask(const std::string& method, const std::string& target,
                     const std::string& body = "", const std::string& if_match = "") {
    const size_t mark = target.find('?');
    return rest.Answer(
        {.method = method,
         .path = *PathWords(target.substr(0, mark)),
         .query = *QueryParameters(mark == target.npos ? "" : target.substr(mark + 1)),
         .content_type = body.empty() ? "" : "application/json; charset=utf-8",
         .if_match = if_match,
         .body = body,
         .peer = "192.0.2.1"});
  }
  static std::string Header(const OperatorAnswer& answer, const std::string& wanted) {
    for (const auto& [name, value] : answer.headers) {
      if (name == wanted) return value;
    }
    return "";
  }

  MonotonicClock clock;
  MemoryStore store = MemoryStore(clock);
  Catalogue catalogue = Catalogue(store);
  v1::DrainRequest drained;
  CatalogueRest rest = CatalogueRest(catalogue, [this](const v1::DrainRequest& request, auto done) {
    drained = request;
    if (request.worker_id() == "nobody") return done(absl::NotFoundError("no such worker"));
    v1::DrainResponse response;
    response.add_worker_ids(request.worker_id());
    done(response);
  });
};

constexpr char kModel[] =
    R"({"name":"m","versions":[{"version":"1"},{"version":"2"}],"aliases":{"prod":"2"}})";
constexpr char kRoute[] = R"({"model":"m","rules":[{"targets":[{"alias":"prod"}]}]})";

TEST_CASE("CatalogueRest: a model's and a route's life", "[registry][catalogue]") {
  Rest rest;
  const OperatorAnswer created = rest.Ask("POST", "/v1/models?actor=ann", kModel);
  CHECK(created.code == 201);
  const std::string etag = Rest::Header(created, "ETag");
  const OperatorAnswer read = rest.Ask("GET", "/v1/models/m");
  CHECK(read.code == 200);
  CHECK(read.type == "application/json");
  CHECK(Rest::Header(read, "ETag") == etag);
  CHECK(Json::parse(read.body)["updatedBy"] == "ann");
  CHECK("\"" + Json::parse(read.body)["revision"].get<std::string>() + "\"" == etag);

  CHECK(rest.Ask("PUT", "/v1/models/m", R"({"versions":[{"version":"2"}],"aliases":{"prod":"2"}})",
                 etag)
            .code == 200);
  CHECK(rest.Ask("PUT", "/v1/models/m", kModel, etag).code == 409);
  CHECK(rest.Ask("DELETE", "/v1/models/m", "", etag).code == 409);
  CHECK(rest.Ask("PUT", "/v1/models/m", kModel, "*").code == 200);

  CHECK(rest.Ask("POST", "/v1/routes", kRoute).code == 201);
  CHECK(rest.Ask("POST", "/v1/routes", kRoute).code == 409);
  CHECK(rest.Ask("PUT", "/v1/routes/m", kRoute).code == 200);
  CHECK(rest.Ask("DELETE", "/v1/models/m").code == 400);
  CHECK(rest.Ask("GET", "/v1/routes/m").code == 200);
  CHECK(Json::parse(rest.Ask("GET", "/v1/routes?model_prefix=m").body)["routes"].size() == 1);
  CHECK(rest.Ask("DELETE", "/v1/models/m?force=true").code == 200);
  CHECK(rest.Ask("DELETE", "/v1/routes/m").code == 200);
  CHECK(rest.Ask("GET", "/v1/models/m").code == 404);
  CHECK(Json::parse(rest.Ask("GET", "/v1/models").body) == Json::object());

  const Json changes = Json::parse(rest.Ask("GET", "/v1/changes?model=m").body)["changes"];
  REQUIRE(changes.size() == 7);
  CHECK(changes[0]["action"] == "ACTION_DELETED");
  CHECK(changes[0]["actor"] == "192.0.2.1");
}

TEST_CASE("CatalogueRest: pages and filters by the query", "[registry][catalogue]") {
  Rest rest;
  for (const char* name : {"a b", "ab", "b"}) {
    CHECK(rest.Ask("POST", "/v1/models", Json{{"name", name}, {"labels", {{"team", "x+y"}}}}.dump())
              .code == 201);
  }
  CHECK(rest.Ask("GET", "/v1/models/a%20b").code == 200);
  const Json first = Json::parse(rest.Ask("GET", "/v1/models?page_size=2&allow_stale=true").body);
  REQUIRE(first["models"].size() == 2);
  const Json second = Json::parse(rest.Ask("GET", "/v1/models?page_size=2&page_token=" +
                                                      first["nextPageToken"].get<std::string>())
                                      .body);
  CHECK(second["models"][0]["name"] == "b");
  CHECK(Json::parse(rest.Ask("GET", "/v1/models?labels=team%3Dx%2By&name_prefix=a").body)["models"]
            .size() == 2);
}

TEST_CASE("CatalogueRest: says what is wrong", "[registry][catalogue]") {
  Rest rest;
  REQUIRE(rest.Ask("POST", "/v1/models", kModel).code == 201);
  struct Wrong {
    std::string method, target, body;
    int code;
    std::string field;
  };
  const Wrong wrong = GENERATE(
      as<Wrong>{}, Wrong{"POST", "/v1/models", "{", 400, "body"},
      Wrong{"POST", "/v1/models", "[]", 400, "body"},
      Wrong{"POST", "/v1/models", R"({"name":"x","nmae":1})", 400, "body"},
      Wrong{"POST", "/v1/models", R"({"name":"../x"})", 400, "model.name"},
      Wrong{"POST", "/v1/models", kModel, 409, ""},
      Wrong{"PUT", "/v1/models/x", kModel, 400, "model.name"},
      Wrong{"PUT", "/v1/models/x", "{}", 404, ""},
      Wrong{"GET", "/v1/models/a%00b", "", 400, "name"},
      Wrong{"GET", "/v1/models/", "", 400, "name"}, Wrong{"GET", "/v1/models/a/b", "", 404, ""},
      Wrong{"GET", "/v1/models/m?name=x", "", 400, "name"},
      Wrong{"GET", "/v1/models?page_size=many", "", 400, "page_size"},
      Wrong{"GET", "/v1/models?labels=team", "", 400, "labels"},
      Wrong{"GET", "/v1/models?allow_stale=1", "", 400, "allow_stale"},
      Wrong{"GET", "/v1/models?page_token=x", "", 400, "page_token"},
      Wrong{"DELETE", "/v1/models/m?forse=true", "", 400, "forse"},
      Wrong{"PUT", "/v1/routes/m", R"({"rules":[{"targets":[{"version":"9"}]}]})", 400,
            "route.rules[0].targets[0]"},
      Wrong{"PUT", "/v1/routes/m", R"({"model":"n"})", 400, "route.model"},
      Wrong{"DELETE", "/v1/routes/m", "", 404, ""}, Wrong{"PATCH", "/v1/models/m", "", 405, ""},
      Wrong{"DELETE", "/v1/models", "", 405, ""}, Wrong{"POST", "/v1/routes/m", "{}", 405, ""},
      Wrong{"HEAD", "/v1/changes", "", 405, ""}, Wrong{"GET", "/v1/drain", "", 405, ""},
      Wrong{"POST", "/v1/models", "", 415, ""});
  CAPTURE(wrong.method, wrong.target, wrong.body);
  const OperatorAnswer answer = rest.Ask(wrong.method, wrong.target, wrong.body);
  CAPTURE(answer.body);
  CHECK(answer.code == wrong.code);
  const Json body = Json::parse(answer.body);
  CHECK_FALSE(body["error"].get<std::string>().empty());
  CHECK(body.value("field", "") == wrong.field);
  CHECK((answer.code == 405) == !Rest::Header(answer, "Allow").empty());
}

TEST_CASE("CatalogueRest: If-Match is a revision", "[registry][catalogue]") {
  Rest rest;
  for (const char* wrong : {"x", "\"5", "\"\"", "W/\"5\"", "0", "\"1\", \"2\""}) {
    CAPTURE(wrong);
    const OperatorAnswer answer = rest.Ask("DELETE", "/v1/models/m", "", wrong);
    CHECK(answer.code == 400);
    CHECK(Json::parse(answer.body)["field"] == "If-Match");
  }
  CHECK(rest.Ask("DELETE", "/v1/models/m", "", "5").code == 404);
}

TEST_CASE("CatalogueRest: drains by the registry's own call", "[registry][catalogue]") {
  Rest rest;
  const OperatorAnswer answer = rest.Ask("POST", "/v1/drain", R"({"workerId":"w1"})");
  CHECK(answer.code == 200);
  CHECK(Json::parse(answer.body)["workerIds"] == Json{"w1"});
  CHECK(rest.drained.actor() == "192.0.2.1");
  CHECK(rest.Ask("POST", "/v1/drain", R"({"worker_id":"nobody","actor":"ann"})").code == 404);
  CHECK(rest.drained.actor() == "ann");
}

TEST_CASE("CatalogueRest: the store's troubles have codes of their own", "[registry][catalogue]") {
  // Answers at once, as the trouble has it.
  struct TroubledStore : ScriptedStore {
    void Commit(Transaction, Committed done) override {
      done(absl::ResourceExhaustedError("the disk is full"));
    }
    void Latest(Committed done) override { done(absl::UnavailableError("the store is away")); }
  };
  TroubledStore store;
  Catalogue catalogue(store);
  store.listener->OnItems({}, {}, {.incarnation = "i", .revision = 1});
  const CatalogueRest rest(catalogue, nullptr);
  CHECK(rest.Answer({.method = "POST",
                     .path = {"v1", "models"},
                     .content_type = "application/json",
                     .body = kModel})
            .code == 507);
  const OperatorAnswer away = rest.Answer({.method = "GET", .path = {"v1", "models"}});
  CHECK(away.code == 503);
  CHECK(Rest::Header(away, "Retry-After") == "1");
}

}  // namespace
}  // namespace torchfleet::registry
