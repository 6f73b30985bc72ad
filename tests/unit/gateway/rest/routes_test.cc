#include "gateway/protocol/rest/routes.h"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace torchfleet::gateway::rest {
namespace {

TEST_CASE("MatchRoute: finds what a path asks for", "[gateway][rest]") {
  struct Row {
    std::string method, target;
    Action action;
    std::string model, version;
  };
  const Row rows[] = {
      {"GET", "/v2", Action::kServerMetadata, "", ""},
      {"GET", "/v2/", Action::kServerMetadata, "", ""},
      {"HEAD", "/v2?verbose=1", Action::kServerMetadata, "", ""},
      {"GET", "/v2/health/live", Action::kServerLive, "", ""},
      {"GET", "/v2/health/ready/", Action::kServerReady, "", ""},
      {"GET", "/v2/models/stats", Action::kModelStatistics, "", ""},
      {"GET", "/v2/models/m/stats", Action::kModelStatistics, "m", ""},
      {"GET", "/v2/models/m", Action::kModelMetadata, "m", ""},
      {"GET", "/v2/models/m/versions/3", Action::kModelMetadata, "m", "3"},
      {"GET", "/v2/models/m/ready", Action::kModelReady, "m", ""},
      {"GET", "/v2/models/m/versions/3/ready", Action::kModelReady, "m", "3"},
      {"GET", "/v2/models/m/versions/3/config", Action::kModelConfig, "m", "3"},
      {"GET", "/v2/models/m/versions/3/stats", Action::kModelStatistics, "m", "3"},
      {"POST", "/v2/models/m/infer", Action::kInfer, "m", ""},
      {"POST", "/v2/models/stats/infer", Action::kInfer, "stats", ""},
      {"POST", "/v2/models/m/versions/12/infer", Action::kInfer, "m", "12"},
      {"POST", "/v2/models/m/generate", Action::kGenerate, "m", ""},
      {"POST", "/v2/models/m/versions/1/generate_stream", Action::kGenerateStream, "m", "1"},
      {"POST", "/v2/repository/index", Action::kRepositoryIndex, "", ""},
      {"POST", "/v2/repository/models/m/load", Action::kModelLoad, "m", ""},
      {"POST", "/v2/repository/models/m/unload", Action::kModelUnload, "m", ""},
      {"GET", "/v1/models/m", Action::kV1Status, "m", ""},
      {"GET", "/v1/models/m/versions/2", Action::kV1Status, "m", "2"},
      {"GET", "/v1/models/m/metadata", Action::kV1Metadata, "m", ""},
      {"GET", "/v1/models/m/versions/2/metadata", Action::kV1Metadata, "m", "2"},
      {"POST", "/v1/models/m:predict", Action::kV1Predict, "m", ""},
      {"POST", "/v1/models/a%3Ab:predict", Action::kV1Predict, "a:b", ""},
      {"POST", "/v1/models/m/versions/2:predict", Action::kV1Predict, "m", "2"},
      {"POST", "/predict", Action::kPlainPredict, "", ""},
      {"POST", "/models/m/predict", Action::kPlainPredict, "m", ""},
      {"GET", "/openapi.json", Action::kOpenApi, "", ""},
      {"OPTIONS", "/v2/models/m/infer", Action::kOptions, "m", ""},
      {"POST", "/v2/models/gr%C3%B6%c3%9fe%20x/infer", Action::kInfer, "größe x", ""},
      {"POST", "http://host:5000/v2/models/m/infer", Action::kInfer, "m", ""},
      {"POST", "/v2/models/a+b/infer", Action::kInfer, "a+b", ""},
  };
  for (const Row& row : rows) {
    INFO(row.method << ' ' << row.target);
    const RouteMatch match = MatchRoute(row.method, row.target);
    REQUIRE(match.code == 200);
    CHECK(match.route.action == row.action);
    CHECK(match.route.model == row.model);
    CHECK(match.route.version == row.version);
    CHECK(!match.allow.empty());
  }
}

TEST_CASE("MatchRoute: says what is wrong with a path", "[gateway][rest]") {
  struct Row {
    std::string method, target;
    int code;
    std::string allow;
  };
  const std::string post = "POST, OPTIONS", get = "GET, HEAD, OPTIONS";
  const Row rows[] = {
      {"GET", "", 404, ""},
      {"GET", "/", 404, ""},
      {"GET", "*", 404, ""},
      {"GET", "v2", 404, ""},
      {"GET", "//v2", 404, ""},
      {"GET", "/v2//", 404, ""},
      {"GET", "/V2", 404, ""},
      {"GET", "/v2/models", 404, ""},
      {"POST", "/v2/models/m/infer/more", 404, ""},
      {"POST", "/v2/models/m/versions/1/infer/more/and/more", 404, ""},
      {"POST", "/v1/models/m:classify", 404, ""},
      {"POST", "/v1/models/m/predict", 404, ""},
      {"GET", "/v2/models/../../etc/passwd", 404, ""},
      {"GET", "/v2/models/m/infer", 405, post},
      {"PUT", "/v2/models/m/infer", 405, post},
      {"get", "/v2", 405, get},
      {"POST", "/v2/health/live", 405, get},
      {"DELETE", "/openapi.json", 405, get},
      {"GET", "/predict", 405, post},
      {"POST", "/v2/models/..%2Fx/infer", 400, post},
      {"POST", "/v2/models/../infer", 400, post},
      {"POST", "/v2/models/x%00y/infer", 400, post},
      {"POST", "/v2/models/%ff/infer", 400, post},
      {"POST", "/v2/models/a%2/infer", 400, post},
      {"POST", "/v2/models/a%g0/infer", 400, post},
      {"POST", "/v2/models//infer", 400, post},
      {"POST", "/v1/models/:predict", 400, post},
      {"POST", "/v2/models/" + std::string(10 << 10, 'a') + "/infer", 400, post},
      {"POST", "/v2/models/m/versions/-x/infer", 400, post},
      {"POST", "/v2/models/m/versions//infer", 400, post},
      {"POST", "/v2/models/m/versions/123456789012345678901/infer", 400, post},
  };
  for (const Row& row : rows) {
    INFO(row.method << ' ' << row.target.substr(0, 80));
    const RouteMatch match = MatchRoute(row.method, row.target);
    CHECK(match.code == row.code);
    CHECK(match.allow == row.allow);
    CHECK(!match.error.ok());
    CHECK(match.error.message().size() <= 512);
  }
}

}  // namespace
}  // namespace torchfleet::gateway::rest
