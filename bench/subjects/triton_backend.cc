// libtriton_torch_bench.so: a backend that lets Triton serve TorchScript with
// LibTorch and nothing in between, as no package carries Triton's own. It does what
// the worker's model does: rows of all requests of a batch in one tensor, one
// forward(), a piece of the result for each. A model has one FP32 input of one
// dimension a row, and one output `y`; requests come well formed, as Triton holds
// them against config.pbtxt.

#include <ATen/Parallel.h>
#include <torch/script.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bench/subjects/triton_api.h"

namespace {

using Requests = std::span<TRITONBACKEND_Request*>;

uint64_t Now() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

// When the parts of a batch began and ended.
struct Times {
  uint64_t begun = 0, compute_begun = 0, compute_ended = 0, ended = 0;
};

// An input as Triton has it: rows in one piece or several.
struct Rows {
  TRITONBACKEND_Input* input = nullptr;
  int64_t rows = 0, width = 0;
  uint32_t pieces = 0;

  explicit Rows(TRITONBACKEND_Request* request) {
    const int64_t* shape = nullptr;
    uint64_t bytes = 0;
    TRITONBACKEND_RequestInputByIndex(request, 0, &input);
    TRITONBACKEND_InputProperties(input, nullptr, nullptr, &shape, nullptr, &bytes, &pieces);
    rows = shape[0];
    width = shape[1];
  }
  std::span<const char> Piece(uint32_t index) const {
    const void* buffer = nullptr;
    uint64_t bytes = 0;
    int memory_kind = 0;
    int64_t memory_id = 0;
    TRITONBACKEND_InputBuffer(input, index, &buffer, &bytes, &memory_kind, &memory_id);
    return {static_cast<const char*>(buffer), bytes};
  }
};

// All rows in one tensor; a view where they are in one piece already.
at::Tensor Gather(const std::vector<Rows>& inputs) {
  int64_t rows = 0;
  for (const Rows& input : inputs) rows += input.rows;
  const int64_t width = inputs.front().width;
  if (inputs.size() == 1 && inputs.front().pieces == 1) {
    return at::from_blob(const_cast<char*>(inputs.front().Piece(0).data()), {rows, width},
                         at::kFloat);
  }
  at::Tensor batch = at::empty({rows, width}, at::kFloat);
  char* to = static_cast<char*>(batch.data_ptr());
  for (const Rows& input : inputs) {
    for (uint32_t piece = 0; piece < input.pieces; ++piece) {
      const auto bytes = input.Piece(piece);
      std::memcpy(to, bytes.data(), bytes.size());
      to += bytes.size();
    }
  }
  return batch;
}

void Answer(TRITONBACKEND_Request* request, const at::Tensor& rows) {
  TRITONBACKEND_Response* response = nullptr;
  TRITONBACKEND_Output* output = nullptr;
  void* buffer = nullptr;
  int memory_kind = 0;
  int64_t memory_id = 0;
  const uint64_t bytes = rows.nbytes();
  TRITONBACKEND_ResponseNew(&response, request);
  TRITONBACKEND_ResponseOutput(response, &output, "y", kTritonFp32, rows.sizes().data(),
                               static_cast<uint32_t>(rows.dim()));
  TRITONBACKEND_OutputBuffer(output, &buffer, bytes, &memory_kind, &memory_id);
  std::memcpy(buffer, rows.const_data_ptr(), bytes);
  TRITONBACKEND_ResponseSend(response, kTritonFinal, nullptr);
}

void Refuse(TRITONBACKEND_Request* request, const char* why) {
  TRITONBACKEND_Response* response = nullptr;
  TRITONBACKEND_ResponseNew(&response, request);
  TRITONBACKEND_ResponseSend(response, kTritonFinal, TRITONSERVER_ErrorNew(kTritonInternal, why));
}

// One instance of a model; Triton runs one batch of it at a time.
class Instance {
 public:
  explicit Instance(const std::string& path) : module_(torch::jit::load(path)) { module_.eval(); }

  // Answers every request; returns the batch's rows. Throws what torch throws,
  // with nothing answered.
  int64_t Run(Requests requests, Times& times) {
    const c10::InferenceMode inference;
    const std::vector<Rows> inputs(requests.begin(), requests.end());
    const at::Tensor batch = Gather(inputs);
    times.compute_begun = Now();
    const at::Tensor result = module_.forward({batch}).toTensor().contiguous();
    times.compute_ended = Now();
    int64_t row = 0;
    for (size_t i = 0; i < requests.size(); ++i) {
      Answer(requests[i], result.narrow(0, row, inputs[i].rows));
      row += inputs[i].rows;
    }
    return row;
  }

 private:
  torch::jit::Module module_;
};

void Report(TRITONBACKEND_ModelInstance* instance, Requests requests, bool ok, int64_t rows,
            const Times& times) {
  for (TRITONBACKEND_Request* request : requests) {
    TRITONBACKEND_ModelInstanceReportStatistics(
        instance, request, ok, times.begun, times.compute_begun, times.compute_ended, times.ended);
    TRITONBACKEND_RequestRelease(request, kTritonRelease);
  }
  if (!ok) return;
  TRITONBACKEND_ModelInstanceReportBatchStatistics(instance, static_cast<uint64_t>(rows),
                                                   times.begun, times.compute_begun,
                                                   times.compute_ended, times.ended);
}

}  // namespace

extern "C" {

// What Triton calls.
TritonError TRITONBACKEND_ModelInstanceInitialize(TRITONBACKEND_ModelInstance* instance) try {
  TRITONBACKEND_Model* model = nullptr;
  int kind = 0;
  const char* folder = nullptr;
  uint64_t version = 0;
  TRITONBACKEND_ModelInstanceModel(instance, &model);
  TRITONBACKEND_ModelRepository(model, &kind, &folder);
  TRITONBACKEND_ModelVersion(model, &version);
  at::set_num_threads(1);
  auto state =
      std::make_unique<Instance>(std::string(folder) + "/" + std::to_string(version) + "/model.pt");
  return TRITONBACKEND_ModelInstanceSetState(instance, state.release());
} catch (const std::exception& error) {
  return TRITONSERVER_ErrorNew(kTritonInternal, error.what());
}

TritonError TRITONBACKEND_ModelInstanceFinalize(TRITONBACKEND_ModelInstance* instance) {
  void* state = nullptr;
  TRITONBACKEND_ModelInstanceState(instance, &state);
  delete static_cast<Instance*>(state);
  return nullptr;
}

TritonError TRITONBACKEND_ModelInstanceExecute(TRITONBACKEND_ModelInstance* instance,
                                               TRITONBACKEND_Request** begin, uint32_t count) {
  void* state = nullptr;
  TRITONBACKEND_ModelInstanceState(instance, &state);
  const Requests requests(begin, count);
  Times times;
  times.begun = times.compute_begun = times.compute_ended = Now();
  int64_t rows = 0;
  bool ok = true;
  try {
    rows = static_cast<Instance*>(state)->Run(requests, times);
  } catch (const std::exception& error) {
    ok = false;
    for (TRITONBACKEND_Request* request : requests) Refuse(request, error.what());
  }
  times.ended = Now();
  Report(instance, requests, ok, rows, times);
  return nullptr;
}

}  // extern "C"
