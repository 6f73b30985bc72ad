#pragma once
// TorchScript files made by the test itself. Names no torch type, so that the
// tests need not see torch.

#include <cstdint>
#include <filesystem>
#include <string>

namespace torchfleet::worker {

// Saves a module with the methods that `source` defines, and a parameter
// `weight` of [[1, 2], [3, 4]], to `file`.
void SaveScriptedModule(const std::filesystem::path& file, const std::string& source);

// The bits of a value as FP16 and BF16, as torch rounds it.
uint16_t HalfBits(float value);
uint16_t Bfloat16Bits(float value);

}  // namespace torchfleet::worker
