// REST and gRPC-Web at the edge, before workers that echo.

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "net/grpc/message_reader.h"
#include "net/grpc/status.h"
#include "tests/unit/gateway/fake_backend.h"
#include "tests/unit/gateway/web/http_client.h"

namespace torchfleet::gateway {
namespace {

using nlohmann::json;

constexpr char kInferPath[] = "/inference.GRPCInferenceService/ModelInfer";

json InferBody(const std::string& id) {
  return {
      {"id", id},
      {"inputs", {{{"name", "x"}, {"shape", {1, 2}}, {"datatype", "FP32"}, {"data", {0.5, 1.5}}}}}};
}

std::string Prefixed(const std::string& message) {
  std::string bytes(net::kGrpcPrefixSize, '\0');
  net::WriteGrpcPrefix(message.size(), bytes.data());
  return bytes + message;
}

// The frames of a gRPC-Web body: first bytes and contents.
std::vector<std::pair<uint8_t, std::string>> Frames(std::string_view body) {
  std::vector<std::pair<uint8_t, std::string>> frames;
  while (body.size() >= 5) {
    size_t size = 0;
    for (int i = 1; i < 5; ++i) size = size << 8 | static_cast<uint8_t>(body[i]);
    REQUIRE(body.size() >= 5 + size);
    frames.emplace_back(static_cast<uint8_t>(body[0]), std::string(body.substr(5, size)));
    body.remove_prefix(5 + size);
  }
  CHECK(body.empty());
  return frames;
}

TEST_CASE("RestCall: an inference call there and back", "[gateway][web]") {
  TestGateway gateway;
  std::string got;
  std::set<std::string> fields;
  FakeBackend backend([&](auto& context, const auto& request, auto& response) {
    got = request.raw_input_contents(0);
    for (const auto& [name, value] : context.client_metadata()) {
      fields.emplace(name.data(), name.size());
    }
    auto* output = response.add_outputs();
    output->set_name("y");
    output->set_datatype("FP32");
    output->add_shape(2);
    response.add_raw_output_contents(request.raw_input_contents(0));
    return std::optional(grpc::Status::OK);
  });
  gateway.SetFleet({{"a", "m", "1", backend.address()}});
  HttpClient client(gateway.address());
  const HttpAnswer answer = client.Call("POST", "/v2/models/m/infer", InferBody("call-1").dump(),
                                        {{"x-mine", "1"},
                                         {"accept", "*/*"},
                                         {"accept-encoding", "gzip"},
                                         {"x-request-id", "abc"},
                                         {"origin", "http://localhost:1"}});
  CAPTURE(answer.body);
  REQUIRE(answer.status == 200);
  CHECK(answer.header("content-type") == "application/json");
  CHECK(answer.header("content-length") == std::to_string(answer.body.size()));
  CHECK(answer.header("x-request-id") == "abc");
  CHECK(answer.header("access-control-allow-origin") == "http://localhost:1");
  const json body = json::parse(answer.body);
  CHECK(body["id"] == "call-1");
  CHECK(body["outputs"][0]["data"] == json{0.5, 1.5});
  CHECK(got == std::string("\0\0\0\x3f\0\0\xc0\x3f", 8));
  for (const char* name : {"traceparent", "x-request-id", "x-mine"}) CHECK(fields.count(name) == 1);
  for (const char* name : {"accept", "origin", "accept-encoding"}) CHECK(fields.count(name) == 0);
}

TEST_CASE("RestCall: large binary tensors both ways", "[gateway][web]") {
  TestGateway gateway;
  FakeBackend backend([&](auto&, const auto& request, auto& response) {
    auto* output = response.add_outputs();
    output->set_name("y");
    output->set_datatype("UINT8");
    output->add_shape(static_cast<int64_t>(request.raw_input_contents(0).size()));
    response.add_raw_output_contents(request.raw_input_contents(0));
    return std::optional(grpc::Status::OK);
  });
  gateway.SetFleet({{"a", "m", "1", backend.address()}});
  HttpClient client(gateway.address());
  std::string tensor(3 << 20, '\0');
  for (size_t i = 0; i < tensor.size(); ++i) tensor[i] = static_cast<char>(i * 31 + i / 257);
  const json head = {{"inputs",
                      {{{"name", "x"},
                        {"shape", {tensor.size()}},
                        {"datatype", "UINT8"},
                        {"parameters", {{"binary_data_size", tensor.size()}}}}}},
                     {"parameters", {{"binary_data_output", true}}}};
  const std::string text = head.dump();
  const HttpAnswer answer =
      client.Call("POST", "/v2/models/m/infer", text + tensor,
                  {{"inference-header-content-length", std::to_string(text.size())}});
  REQUIRE(answer.status == 200);
  const size_t json_size = std::stoul(answer.header("inference-header-content-length"));
  CHECK(answer.body.substr(json_size) == tensor);
  CHECK(answer.header("content-type") == "application/octet-stream");
}

TEST_CASE("RestCall: what is wrong is told with its HTTP code", "[gateway][web]") {
  TestGateway gateway;
  FakeBackend backend;
  gateway.SetFleet(
      {{"a", "m", "1", backend.address()},
       {"b", "starting", "1", backend.address(), registry::v1::WORKER_STATE_STARTING}});
  HttpClient client(gateway.address());
  const std::string good = InferBody("a").dump();
  struct Row {
    const char* method;
    const char* path;
    std::string body;
    HttpClient::Fields fields;
    int status;
  };
  const Row rows[] = {
      {"GET", "/nowhere", "", {}, 404},
      {"GET", "/v2/models/m/infer", "", {}, 405},
      {"POST", "/v2/models/nobody/infer", good, {}, 404},
      {"POST", "/v2/models/m/versions/9/infer", good, {}, 404},
      {"POST", "/v2/models/starting/infer", good, {}, 503},
      {"POST", "/v2/models/m/infer", "{", {}, 400},
      {"POST", "/v2/models/m/infer", "", {}, 400},
      {"POST", "/v2/models/m/infer", good, {{"content-encoding", "gzip"}}, 415},
      {"POST", "/v2/models/m/generate", R"({"text_input":"a"})", {}, 400},
      {"POST", "/v2/models/nobody/generate", R"({"text_input":"a"})", {}, 404},
      {"POST", "/v2/models/starting/generate_stream", R"({"text_input":"a"})", {}, 503},
      {"GET", "/v2/models/%2e%2e%2fx/ready", "", {}, 400},
      {"POST", "/predict", R"({"x":[1]})", {}, 400},
      {"PATCH", "/v2", "", {}, 405},
  };
  for (const Row& row : rows) {
    CAPTURE(row.method, row.path, row.body);
    const HttpAnswer answer = client.Call(row.method, row.path, row.body, row.fields);
    CHECK(answer.status == row.status);
    CHECK(json::parse(answer.body)["error"].get<std::string>().size() > 0);
    if (row.status == 405) CHECK(answer.header("allow") != "");
    if (row.status == 503) CHECK(answer.header("retry-after") == "1");
  }
  CHECK(backend.calls().value() == 0);
}

TEST_CASE("RestCall: a body over the limit is refused while it comes", "[gateway][web]") {
  TestGateway gateway;
  gateway.SetFleet({});
  HttpClient client(gateway.address());
  const HttpAnswer answer =
      client.Call("POST", "/v2/models/m/infer", std::string((64 << 20) + 1, ' '));
  CHECK(answer.status == 413);
  CHECK(client.Call("GET", "/v2/health/live").status == 200);
}

TEST_CASE("RestCall: what needs no worker", "[gateway][web]") {
  TestGateway gateway;
  gateway.SetFleet({{"a", "m", "3", "127.0.0.1:1"},
                    {"b", "n", "1", "127.0.0.1:1", registry::v1::WORKER_STATE_STARTING}});
  HttpClient client(gateway.address());
  struct Row {
    const char* method;
    const char* path;
    int status;
    json body;
  };
  for (const Row& row :
       {Row{"GET", "/v2/health/live", 200, {{"live", true}}},
        Row{"GET", "/v2/health/ready", 200, {{"ready", true}}},
        Row{"GET", "/v2/models/m/ready", 200, {{"name", "m"}, {"ready", true}}},
        Row{"GET", "/v2/models/n/ready", 503, {{"name", "n"}, {"ready", false}}},
        Row{"POST",
            "/v2/repository/index",
            200,
            {{{"name", "m"}, {"version", "3"}, {"state", "READY"}, {"reason", ""}},
             {{"name", "n"}, {"version", "1"}, {"state", "LOADING"}, {"reason", ""}}}}}) {
    CAPTURE(row.path);
    const HttpAnswer answer = client.Call(row.method, row.path);
    CHECK(answer.status == row.status);
    CHECK(json::parse(answer.body) == row.body);
  }
  const HttpAnswer head = client.Call("HEAD", "/v2");
  CHECK(head.status == 200);
  CHECK(head.body.empty());
  CHECK(std::stoi(head.header("content-length")) > 0);
  const HttpAnswer options = client.Call("OPTIONS", "/v2/models/m/infer");
  CHECK(options.status == 204);
  CHECK(options.header("allow") == "POST, OPTIONS");
}

TEST_CASE("GrpcWebCall: an answer with its trailers in the body, in both forms", "[gateway][web]") {
  TestGateway gateway;
  FakeBackend backend;
  gateway.SetFleet({{"a", "m", "1", backend.address()}});
  HttpClient client(gateway.address());
  inference::ModelInferRequest request;
  request.set_model_name("m");
  request.set_id("web");
  request.add_raw_input_contents(std::string(300'000, 'x'));
  const std::string body = Prefixed(request.SerializeAsString());
  for (const bool text : {false, true}) {
    CAPTURE(text);
    const std::string type =
        text ? "application/grpc-web-text+proto" : "application/grpc-web+proto";
    HttpAnswer answer =
        client.Call("POST", kInferPath, text ? net::EncodeBase64(body) : body,
                    {{"content-type", type}, {"x-grpc-web", "1"}, {"origin", "http://localhost"}});
    REQUIRE(answer.status == 200);
    CHECK(answer.header("content-type") == type);
    CHECK(answer.header("access-control-allow-origin") == "http://localhost");
    CHECK(answer.trailers.empty());
    if (text) {
      // Each piece is padded by itself.
      std::string decoded;
      for (size_t at = 0; at < answer.body.size(); at += 4) {
        decoded += *net::DecodeBase64(answer.body.substr(at, 4));
      }
      answer.body = decoded;
    }
    const auto frames = Frames(answer.body);
    REQUIRE(frames.size() == 2);
    inference::ModelInferResponse response;
    REQUIRE(response.ParseFromString(frames[0].second));
    CHECK(response.id() == "web");
    CHECK(frames[1].first == 0x80);
    CHECK(frames[1].second.find("grpc-status: 0\r\n") != std::string::npos);
  }
}

TEST_CASE("GrpcWebCall: errors and calls of the control plane", "[gateway][web]") {
  TestGateway gateway;
  gateway.SetFleet({});
  HttpClient client(gateway.address());
  const HttpClient::Fields fields = {{"content-type", "application/grpc-web"}};
  inference::ModelInferRequest request;
  request.set_model_name("nobody");
  const auto refused =
      Frames(client.Call("POST", kInferPath, Prefixed(request.SerializeAsString()), fields).body);
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].second.find("grpc-status: 5\r\n") != std::string::npos);
  CHECK(refused[0].second.find("grpc-message: ") != std::string::npos);

  const auto live = Frames(
      client.Call("POST", "/inference.GRPCInferenceService/ServerLive", Prefixed(""), fields).body);
  REQUIRE(live.size() == 2);
  CHECK(live[0].second == std::string("\x08\x01", 2));
  const HttpAnswer broken =
      client.Call("POST", kInferPath, "%%%%", {{"content-type", "application/grpc-web-text"}});
  const auto told = Frames(*net::DecodeBase64(broken.body));
  REQUIRE(told.size() == 1);
  CHECK(told[0].second.find("grpc-status: 3\r\n") != std::string::npos);
  const HttpAnswer cut =
      client.Call("POST", kInferPath, "AAAAAAA", {{"content-type", "application/grpc-web-text"}});
  const auto said = Frames(*net::DecodeBase64(cut.body));
  REQUIRE(said.size() == 1);
  CHECK(said[0].second.find("grpc-status: 3\r\n") != std::string::npos);
}

}  // namespace
}  // namespace torchfleet::gateway
