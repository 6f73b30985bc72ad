#include "tests/unit/model-worker/scripted_module.h"

#include <torch/script.h>

namespace torchfleet::worker {

void SaveScriptedModule(const std::filesystem::path& file, const std::string& source) {
  std::filesystem::create_directories(file.parent_path());
  torch::jit::Module module("tested");
  module.register_parameter("weight", torch::tensor({{1.0F, 2.0F}, {3.0F, 4.0F}}), false);
  module.define(source);
  module.save(file.string());
}

uint16_t HalfBits(float value) { return c10::Half(value).x; }
uint16_t Bfloat16Bits(float value) { return c10::BFloat16(value).x; }

}  // namespace torchfleet::worker
