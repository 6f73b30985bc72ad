#include "model-worker/execute/call_spec.h"

#include <nlohmann/json.hpp>

namespace torchfleet::worker {
namespace {

constexpr int kMaxDepth = 64;

using nlohmann::json;

// A field that must be there, or null.
const json& Field(const json& node, const char* name) {
  static const json kNone;
  const auto found = node.find(name);
  return found == node.end() ? kNone : *found;
}

// The children's names: a dictionary's keys, which its context lists as JSON.
std::vector<std::string> Keys(const json& node, size_t count) {
  std::vector<std::string> names(count);
  const json& type = Field(node, "type");
  const json& context = Field(node, "context");
  if (!type.is_string() || !context.is_string()) return names;
  if (type.get<std::string>().find("ict") == std::string::npos) return names;  // OrderedDict too
  const json keys = json::parse(context.get<std::string>(), nullptr, false);
  if (!keys.is_array() || keys.size() != count) return names;
  for (size_t i = 0; i < count; ++i) {
    if (keys[i].is_string()) names[i] = keys[i].get<std::string>();
  }
  return names;
}

bool Collect(const json& node, const std::string& name, int depth,
             std::vector<std::string>& leaves) {
  if (!node.is_object() || depth > kMaxDepth) return false;
  if (Field(node, "type").is_null()) {
    leaves.push_back(name);
    return true;
  }
  const json& children = Field(node, "children_spec");
  if (!children.is_array()) return false;
  const std::vector<std::string> names = Keys(node, children.size());
  for (size_t i = 0; i < children.size(); ++i) {
    if (!Collect(children[i], names[i], depth + 1, leaves)) return false;
  }
  return true;
}

}  // namespace

std::optional<std::vector<std::string>> LeafNames(std::string_view tree) {
  const json parsed = json::parse(tree, nullptr, false);
  if (!parsed.is_array() || parsed.size() != 2 || parsed[0] != 1) return std::nullopt;
  std::vector<std::string> leaves;
  if (!Collect(parsed[1], "", 0, leaves)) return std::nullopt;
  return leaves;
}

}  // namespace torchfleet::worker
