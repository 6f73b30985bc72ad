// What it costs to read and to write a message, here and in Protocol Buffers:
// nanoseconds per message, medians of windows of one thread.
//
// Protocol Buffers is measured as servers use it best: one message used again
// and again, so that its strings keep their room.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "inference/grpc_service.pb.h"
#include "wire/infer_views.h"
#include "wire/infer_writer.h"

namespace torchfleet::wire {
namespace {

// Keeps the compiler from dropping what nobody reads.
template <typename T>
void Use(const T& value) {
  asm volatile("" : : "r"(&value) : "memory");
}

void Require(bool ok) {
  if (!ok) std::abort();
}

template <typename Work>
double NanosecondsEach(Work work) {
  using SteadyClock = std::chrono::steady_clock;
  constexpr int kWindows = 21;
  constexpr auto kWindow = std::chrono::milliseconds(10);
  std::vector<double> windows;
  for (int i = 0; i < kWindows; ++i) {
    const auto start = SteadyClock::now();
    size_t done = 0;
    std::chrono::duration<double, std::nano> elapsed{};
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

void PrintRow(std::string_view name, size_t bytes, double ours, double theirs) {
  fmt::print("| {} | {} | {:.0f} | {:.0f} | {:.2f} |\n", name, bytes, ours, theirs, ours / theirs);
}

template <typename View, typename Message>
void BenchRead(std::string_view name, const Message& message) {
  const std::string bytes = message.SerializeAsString();
  View view;
  const double ours = NanosecondsEach([&] {
    Require(view.Parse(bytes).ok());
    Use(view);
  });
  Message reused;
  const double theirs = NanosecondsEach([&] {
    Require(reused.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    Use(reused);
  });
  PrintRow(name, bytes.size(), ours, theirs);
}

// One input and one output wanted, as a client of an image model sends them.
inference::ModelInferRequest Request(size_t elements) {
  inference::ModelInferRequest request;
  request.set_model_name("mnist");
  request.set_id("7f3a9c1e");
  auto& input = *request.add_inputs();
  input.set_name("image");
  input.set_datatype("FP32");
  input.add_shape(1);
  input.add_shape(static_cast<int64_t>(elements));
  request.add_outputs()->set_name("scores");
  return request;
}

inference::ModelInferRequest RawRequest(size_t elements) {
  inference::ModelInferRequest request = Request(elements);
  request.add_raw_input_contents(std::string(4 * elements, 'x'));
  return request;
}

inference::ModelInferRequest TypedRequest(size_t elements) {
  inference::ModelInferRequest request = Request(elements);
  auto& contents = *request.mutable_inputs(0)->mutable_contents();
  for (size_t i = 0; i < elements; ++i) contents.add_fp32_contents(static_cast<float>(i));
  return request;
}

// Four inputs with parameters: what still needs no allocation.
inference::ModelInferRequest WideRequest() {
  inference::ModelInferRequest request = Request(16);
  (*request.mutable_parameters())["priority"].set_int64_param(1);
  const auto first = request.inputs(0);
  for (int i = 0; i < 3; ++i) *request.add_inputs() = first;
  for (auto& input : *request.mutable_inputs()) {
    (*input.mutable_parameters())["unit"].set_string_param("byte");
    request.add_raw_input_contents(std::string(64, 'x'));
  }
  return request;
}

inference::ModelInferResponse Response(size_t elements) {
  inference::ModelInferResponse response;
  response.set_model_name("mnist");
  response.set_model_version("3");
  response.set_id("7f3a9c1e");
  auto& output = *response.add_outputs();
  output.set_name("scores");
  output.set_datatype("FP32");
  output.add_shape(1);
  output.add_shape(static_cast<int64_t>(elements));
  response.add_raw_output_contents(std::string(4 * elements, 'x'));
  return response;
}

void BenchWrite(std::string_view name, size_t elements) {
  const std::string data(4 * elements, 'x');
  const int64_t shape[] = {1, static_cast<int64_t>(elements)};
  const TensorSource outputs[] = {
      {.name = "scores", .datatype = "FP32", .shape = shape, .parameters = {}, .data = data}};
  const ResponseSource source = {.model_name = "mnist",
                                 .model_version = "3",
                                 .id = "7f3a9c1e",
                                 .parameters = {},
                                 .outputs = outputs};
  InferWriter writer;
  const double ours = NanosecondsEach([&] {
    const auto pieces = writer.Write(source);
    Require(pieces.ok());
    Use(*pieces);
  });
  // From the tensor to bytes: its copy into the message is part of the way.
  inference::ModelInferResponse message = Response(elements);
  std::string bytes;
  const double theirs = NanosecondsEach([&] {
    message.set_raw_output_contents(0, data);
    Require(message.SerializeToString(&bytes));
    Use(bytes);
  });
  PrintRow(name, bytes.size(), ours, theirs);
}

}  // namespace
}  // namespace torchfleet::wire

int main() {
  using namespace torchfleet::wire;
  using inference::ModelInferRequest;
  using inference::ModelInferResponse;
  fmt::print(
      "| message | bytes | wire/ ns | Protocol Buffers ns | ratio |\n|---|---|---|---|---|\n");
  BenchRead<InferRequestView>("read a request, 784 floats raw", RawRequest(784));
  BenchRead<InferRequestView>("read a request, 784 floats typed", TypedRequest(784));
  BenchRead<InferRequestView>("read a request, 4 inputs with parameters", WideRequest());
  BenchRead<InferRequestView>("read a request, 1 MiB raw", RawRequest(1 << 18));
  BenchRead<InferResponseView>("read a response, 10 floats", Response(10));
  BenchWrite("write a response, 10 floats", 10);
  BenchWrite("write a response, 784 floats", 784);
  return 0;
}
