#pragma once
// Between the wire's bytes and LibTorch's values. For files that see torch.

#include <torch/script.h>

#include "absl/status/statusor.h"
#include "model-worker/execute/model.h"
#include "model-worker/execute/model_spec.h"

namespace torchfleet::worker {

// A tensor over the input's own bytes where they lie in one place and aligned,
// valid as long as those; else one copy of them. For BYTES a list of strings.
c10::IValue ToTorch(const TensorSpec& spec, const BatchInput& input);

// An output over the tensor's own memory, which it keeps. Strings get the spec's shape, the first
// dimension that varies holding what the fixed ones leave. INTERNAL when it is neither a tensor of
// a type that the wire knows nor a list of strings.
absl::StatusOr<OutputTensor> FromTorch(const TensorSpec& spec, const c10::IValue& value);

}  // namespace torchfleet::worker
