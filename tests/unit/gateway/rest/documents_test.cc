#include "gateway/protocol/rest/documents.h"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "gateway/protocol/rest/openapi.h"
#include "gateway/protocol/rest/routes.h"

namespace torchfleet::gateway::rest {
namespace {

using Json = nlohmann::json;

const ModelSpec kModel = {"m",
                          {"1", "2"},
                          "pytorch_libtorch",
                          {{"x", wire::DataType::kFp32, {-1, 784}}},
                          {{"y", wire::DataType::kBytes, {-1}}, {"z", wire::DataType::kInt8, {}}}};

TEST_CASE("Documents: as clients expect them", "[gateway][rest]") {
  const std::vector<std::string> extensions = {"statistics"};
  CHECK(ServerMetadataDocument("torchfleet", "1", extensions) ==
        R"({"name":"torchfleet","version":"1","extensions":["statistics"]})");
  CHECK(LiveDocument(true) == R"({"live":true})");
  CHECK(ReadyDocument(false) == R"({"ready":false})");
  CHECK(ModelReadyDocument("m", true) == R"({"name":"m","ready":true})");
  CHECK(ModelReadyDocument("\xff", true).find("ready") != std::string::npos);
  CHECK(ModelMetadataDocument(kModel) ==
        R"({"name":"m","versions":["1","2"],"platform":"pytorch_libtorch",)"
        R"("inputs":[{"name":"x","datatype":"FP32","shape":[-1,784]}],)"
        R"("outputs":[{"name":"y","datatype":"BYTES","shape":[-1]},)"
        R"({"name":"z","datatype":"INT8","shape":[]}]})");
  const std::vector<ModelIndexEntry> index = {{"m", "1", "READY", ""}};
  CHECK(RepositoryIndexDocument(index) ==
        R"([{"name":"m","version":"1","state":"READY","reason":""}])");
  CHECK(RepositoryIndexDocument({}) == "[]");
  const std::vector<V1VersionStatus> versions = {{"1", "AVAILABLE", "OK", ""}};
  CHECK(V1StatusDocument(versions) ==
        R"({"model_version_status":[{"version":"1","state":"AVAILABLE",)"
        R"("status":{"error_code":"OK","error_message":""}}]})");
  const Json metadata = Json::parse(V1MetadataDocument(kModel, "2"));
  CHECK(metadata["model_spec"]["version"] == "2");
  const Json& signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"];
  CHECK(signature["inputs"]["x"]["dtype"] == "DT_FLOAT");
  CHECK(signature["inputs"]["x"]["tensor_shape"]["dim"][0]["size"] == "-1");
  CHECK(signature["outputs"]["y"]["dtype"] == "DT_STRING");
  CHECK(signature["outputs"]["z"]["dtype"] == "DT_INT8");
}

// Every "$ref" of the document.
void CollectReferences(const Json& json, std::set<std::string>& references) {
  if (!json.is_structured()) return;
  for (const auto& [key, value] : json.items()) {
    if (json.is_object() && key == "$ref") references.insert(value.get<std::string>());
    CollectReferences(value, references);
  }
}

std::string Replaced(std::string text, const std::string& part, const std::string& by) {
  const size_t at = text.find(part);
  return at == text.npos ? text : text.replace(at, part.size(), by);
}

TEST_CASE("OpenAPI: every path is one, and every reference leads somewhere", "[gateway][rest]") {
  const Json document = Json::parse(OpenApiDocument());
  CHECK(document["openapi"] == "3.1.0");
  std::set<Action> described;
  std::set<std::string> ids;
  for (const auto& [path, operations] : document["paths"].items()) {
    for (const auto& [verb, operation] : operations.items()) {
      INFO(verb << ' ' << path);
      const std::string target = Replaced(Replaced(path, "{model}", "m"), "{version}", "1");
      const RouteMatch match = MatchRoute(verb == "get" ? "GET" : "POST", target);
      CHECK(match.code == 200);
      described.insert(match.route.action);
      CHECK(ids.insert(operation["operationId"].get<std::string>()).second);
      CHECK(!operation["operationId"].get<std::string>().empty());
      CHECK(operation["responses"].contains("200"));
      CHECK(operation["responses"].contains("405"));
    }
  }
  for (const RoutePattern& pattern : RoutePatterns()) {
    CHECK(described.contains(pattern.action));
  }
  std::set<std::string> references;
  CollectReferences(document, references);
  for (const std::string& reference : references) {
    INFO(reference);
    CHECK(document.contains(Json::json_pointer(reference.substr(1))));
  }
  for (const auto& [kind, members] : document["components"].items()) {
    for (const auto& [name, unused] : members.items()) {
      INFO(kind << ' ' << name);
      CHECK(references.contains("#/components/" + kind + "/" + name));
    }
  }
}

}  // namespace
}  // namespace torchfleet::gateway::rest
