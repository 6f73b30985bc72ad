// What it costs to turn REST into inference messages and back: microseconds per
// call, medians of windows of one thread.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "gateway/protocol/rest/rest_codec.h"
#include "gateway/protocol/rest/routes.h"
#include "wire/infer_writer.h"

namespace torchfleet::gateway::rest {
namespace {

void Require(bool ok) {
  if (!ok) std::abort();
}

template <typename Work>
double MicrosecondsEach(Work work) {
  using SteadyClock = std::chrono::steady_clock;
  constexpr int kWindows = 21;
  constexpr auto kWindow = std::chrono::milliseconds(10);
  std::vector<double> windows;
  for (int i = 0; i < kWindows; ++i) {
    const auto start = SteadyClock::now();
    size_t done = 0;
    std::chrono::duration<double, std::micro> elapsed{};
    while (elapsed < kWindow) {
      for (int k = 0; k < 32; ++k) work();
      done += 32;
      elapsed = SteadyClock::now() - start;
    }
    windows.push_back(elapsed.count() / static_cast<double>(done));
  }
  std::nth_element(windows.begin(), windows.begin() + kWindows / 2, windows.end());
  return windows[kWindows / 2];
}

void PrintRow(std::string_view name, size_t bytes, double microseconds) {
  fmt::print("| {} | {} | {:.2f} |\n", name, bytes, microseconds);
}

// As Python's json writes a row.
std::string RowJson(const std::vector<float>& row) {
  std::string json;
  for (const float value : row) {
    char text[32];
    json.append(json.empty() ? "[" : ", ");
    json.append(text, std::to_chars(text, text + sizeof(text), value).ptr);
  }
  return json + "]";
}

std::string Response(const std::vector<float>& row) {
  const int64_t shape[] = {1, static_cast<int64_t>(row.size())};
  const wire::TensorSource output = {
      .name = "y",
      .datatype = "FP32",
      .shape = shape,
      .parameters = {},
      .data = {reinterpret_cast<const char*>(row.data()), row.size() * sizeof(float)}};
  wire::InferWriter writer;
  std::string message;
  const wire::ResponseSource response = {.model_name = "mnist",
                                         .model_version = "1",
                                         .id = "7",
                                         .parameters = {},
                                         .outputs = {&output, 1}};
  const auto pieces = writer.Write(response);
  Require(pieces.ok());
  for (const std::string_view piece : *pieces) message += piece;
  return message;
}

void BenchRow(std::string_view name, const std::vector<float>& row) {
  RestCodec codec;
  const std::string json = RowJson(row);
  const std::string body = fmt::format(
      R"({{"id": "7", "inputs": [{{"name": "x", "shape": [1, {}], "datatype": "FP32", "data": {}}}]}})",
      row.size(), json);
  const std::string plain = R"({"x": )" + json + "}";
  const ModelSpec spec = {
      "mnist", {}, "", {{"x", wire::DataType::kFp32, {-1, static_cast<int64_t>(row.size())}}}, {}};
  PrintRow(fmt::format("/v2, {}", name), body.size(), MicrosecondsEach([&] {
             Require(codec.ReadInfer({"mnist", "", {}, body}, nullptr).ok());
           }));
  PrintRow(fmt::format("/predict, {}", name), plain.size(), MicrosecondsEach([&] {
             Require(codec.ReadPlainPredict({"mnist", "", {}, plain}, spec).ok());
           }));
  const std::string response = Response(row);
  PrintRow(fmt::format("answer, {}", name), response.size(),
           MicrosecondsEach([&] { Require(codec.WriteAnswer(response, {}).ok()); }));
}

void BenchBinary() {
  RestCodec codec;
  const std::string json =
      R"({"inputs":[{"name":"x","shape":[1,784],"datatype":"FP32",)"
      R"("parameters":{"binary_data_size":3136}}],"parameters":{"binary_data_output":true}})";
  const std::string length = std::to_string(json.size());
  const std::string body = json + std::string(3136, '\0');
  PrintRow("/v2, 784 floats as binary data", body.size(), MicrosecondsEach([&] {
             Require(codec.ReadInfer({"mnist", "", length, body}, nullptr).ok());
           }));
}

void Run() {
  fmt::print("| what | bytes | µs |\n|---|---|---|\n");
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(0, 1);
  std::vector<float> row(784);
  std::generate(row.begin(), row.end(), [&] { return uniform(random); });
  BenchRow("784 floats of 9 digits", row);
  BenchRow("10 floats of 9 digits", std::vector<float>(row.begin(), row.begin() + 10));
  std::vector<float> rounded(row), whole(row);
  for (float& value : rounded) value = std::round(value * 10'000) / 10'000;
  for (float& value : whole) value = std::floor(value * 256);
  BenchRow("784 floats of 4 digits", rounded);
  BenchRow("784 whole numbers", whole);
  BenchBinary();
  PrintRow("a path", 22, MicrosecondsEach([] {
             Require(MatchRoute("POST", "/v2/models/mnist/infer").code == 200);
           }));
}

}  // namespace
}  // namespace torchfleet::gateway::rest

int main() { torchfleet::gateway::rest::Run(); }
