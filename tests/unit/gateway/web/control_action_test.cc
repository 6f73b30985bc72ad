#include "gateway/protocol/web/control_action.h"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "inference/grpc_service.pb.h"
#include "inference/model_config.pb.h"

namespace torchfleet::gateway {
namespace {

using nlohmann::json;
using rest::Action;
using rest::RestRoute;

RestRoute Route(Action action, std::string model = "m", std::string version = "") {
  return {.action = action, .model = std::move(model), .version = std::move(version)};
}

json Document(const RestRoute& route, const google::protobuf::Message& response, int code = 200) {
  const auto document = ControlDocumentOf(route, response.SerializeAsString());
  REQUIRE(document.ok());
  CHECK(document->code == code);
  return json::parse(document->json);
}

TEST_CASE("ControlAction: a model's name and version go into the request", "[gateway][web]") {
  const auto request = ControlRequestOf(Route(Action::kModelConfig, "m", "3"), "");
  REQUIRE(request.ok());
  CHECK(request->method == "/inference.GRPCInferenceService/ModelConfig");
  inference::ModelConfigRequest message;
  REQUIRE(message.ParseFromString(request->message));
  CHECK(message.name() == "m");
  CHECK(message.version() == "3");
}

TEST_CASE("ControlAction: load's parameters keep their types, files are base64", "[gateway][web]") {
  const auto request = ControlRequestOf(
      Route(Action::kModelLoad),
      R"({"parameters":{"config":{"name":"m"},"file:1/model.pt":"AAH/","a":true,"b":-7,"c":"t"}})");
  REQUIRE(request.ok());
  inference::RepositoryModelLoadRequest message;
  REQUIRE(message.ParseFromString(request->message));
  CHECK(message.model_name() == "m");
  CHECK(message.parameters().at("config").string_param() == R"({"name":"m"})");
  CHECK(message.parameters().at("file:1/model.pt").bytes_param() == std::string("\0\1\xff", 3));
  CHECK(message.parameters().at("a").bool_param());
  CHECK(message.parameters().at("b").int64_param() == -7);
  CHECK(message.parameters().at("c").string_param() == "t");
}

TEST_CASE("ControlAction: bodies that are not what is taken", "[gateway][web]") {
  struct Row {
    Action action;
    const char* body;
  };
  for (const Row& row :
       {Row{Action::kRepositoryIndex, "[]"}, Row{Action::kRepositoryIndex, "{"},
        Row{Action::kRepositoryIndex, R"({"ready":1})"}, Row{Action::kModelLoad, "\xff"},
        Row{Action::kModelLoad, R"({"parameters":[]})"},
        Row{Action::kModelLoad, R"({"parameters":{"a":1.5}})"},
        Row{Action::kModelLoad, R"({"parameters":{"file:x":"%"}})"},
        Row{Action::kModelUnload, R"({"parameters":{"a":{}}})"}}) {
    CAPTURE(row.body);
    CHECK(absl::IsInvalidArgument(ControlRequestOf(Route(row.action), row.body).status()));
  }
  CHECK(ControlRequestOf(Route(Action::kRepositoryIndex), "").ok());
}

TEST_CASE("ControlAction: who is not ready answers 503", "[gateway][web]") {
  inference::ServerReadyResponse ready;
  CHECK(Document(Route(Action::kServerReady), ready, 503) == json{{"ready", false}});
  ready.set_ready(true);
  CHECK(Document(Route(Action::kServerReady), ready) == json{{"ready", true}});
}

TEST_CASE("ControlAction: configuration and statistics with numbers as numbers", "[gateway][web]") {
  inference::ModelConfigResponse config;
  auto* input = config.mutable_config()->add_input();
  input->set_name("x");
  input->set_data_type(inference::TYPE_FP32);
  input->add_dims(int64_t{1} << 60);
  (*config.mutable_config()->mutable_parameters())["k"].set_string_value("v");
  config.mutable_config()->mutable_dynamic_batching()->set_max_queue_delay_microseconds(100);
  const json document = Document(Route(Action::kModelConfig), config);
  CHECK(document["input"][0]["dims"][0] == (int64_t{1} << 60));
  CHECK(document["input"][0]["data_type"] == "TYPE_FP32");
  CHECK(document["dynamic_batching"]["max_queue_delay_microseconds"] == 100);
  CHECK(document["parameters"]["k"]["string_value"] == "v");
  CHECK(document["max_batch_size"] == 0);
  CHECK_FALSE(document.contains("sequence_batching"));

  inference::ModelStatisticsResponse statistics;
  auto* model = statistics.add_model_stats();
  model->set_name("m");
  model->mutable_inference_stats()->mutable_success()->set_ns(uint64_t{1} << 63);
  CHECK(Document(Route(Action::kModelStatistics),
                 statistics)["model_stats"][0]["inference_stats"]["success"]["ns"] == uint64_t{1}
                                                                                          << 63);
}

TEST_CASE("ControlAction: TensorFlow Serving's states", "[gateway][web]") {
  inference::RepositoryIndexResponse index;
  const auto add = [&](const char* name, const char* version, const char* state) {
    auto* model = index.add_models();
    model->set_name(name);
    model->set_version(version);
    model->set_state(state);
  };
  add("m", "1", "UNAVAILABLE");
  add("m", "2", "READY");
  add("n", "1", "LOADING");
  const json all = Document(Route(Action::kV1Status), index)["model_version_status"];
  REQUIRE(all.size() == 2);
  CHECK(all[0]["state"] == "END");
  CHECK(all[1]["state"] == "AVAILABLE");
  CHECK(Document(Route(Action::kV1Status, "m", "2"), index)["model_version_status"].size() == 1);
  CHECK(absl::IsNotFound(
      ControlDocumentOf(Route(Action::kV1Status, "m", "3"), index.SerializeAsString()).status()));
}

TEST_CASE("ControlAction: an answer that is no message is our fault", "[gateway][web]") {
  CHECK(absl::IsInternal(ControlDocumentOf(Route(Action::kModelConfig), "\xff").status()));
}

}  // namespace
}  // namespace torchfleet::gateway
