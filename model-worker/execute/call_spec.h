#pragma once
// How a compiled model takes its inputs and gives its outputs: torch flattens
// whatever forward() had to a row of tensors, and keeps the tree beside it as
// JSON (torch.utils._pytree, version 1). Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace torchfleet::worker {

// For each leaf of the tree, in order, the key it has in a dictionary; empty for
// one that has none. Nothing when `tree` is none that we know.
std::optional<std::vector<std::string>> LeafNames(std::string_view tree);

}  // namespace torchfleet::worker
