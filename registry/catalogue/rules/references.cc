#include "registry/catalogue/rules/references.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/status.h"

namespace torchfleet::registry {
namespace {

bool HasVersion(const v1::Model& model, std::string_view version) {
  return std::any_of(model.versions().begin(), model.versions().end(),
                     [version](const v1::ModelVersion& v) { return v.version() == version; });
}

bool Holds(const Reference& reference, const v1::Model& model) {
  if (!reference.version.empty()) return HasVersion(model, reference.version);
  return reference.alias.empty() || model.aliases().contains(std::string(reference.alias));
}

std::string Thing(const Reference& reference) {
  const std::string model = fmt::format("model '{}'", Clip(reference.model));
  if (!reference.version.empty()) return fmt::format("version {} of {}", reference.version, model);
  if (!reference.alias.empty()) {
    return fmt::format("the alias '{}' of {}", Clip(reference.alias), model);
  }
  return model;
}

void Add(std::vector<Reference>& references, std::string field, const v1::RouteTarget& target,
         const v1::Route& route) {
  references.push_back({.field = std::move(field),
                        .model = ModelOf(target, route.model()),
                        .version = target.version(),
                        .alias = target.alias()});
}

}  // namespace

const std::string& ModelOf(const v1::RouteTarget& target, const std::string& own) {
  return target.model().empty() ? own : target.model();
}

std::vector<Reference> ReferencesOf(const v1::Route& route) {
  std::vector<Reference> references;
  const bool takes_all = !route.rules().empty() && route.rules().rbegin()->matches().empty();
  if (!takes_all) references.push_back({.field = "route.model", .model = route.model()});
  for (int r = 0; r < route.rules_size(); ++r) {
    const v1::RouteRule& rule = route.rules(r);
    for (int t = 0; t < rule.targets_size(); ++t) {
      Add(references, fmt::format("route.rules[{}].targets[{}]", r, t), rule.targets(t), route);
    }
    if (rule.has_shadow()) {
      Add(references, fmt::format("route.rules[{}].shadow.target", r), rule.shadow().target(),
          route);
    }
    if (rule.has_canary()) {
      Add(references, fmt::format("route.rules[{}].canary.target", r), rule.canary().target(),
          route);
    }
  }
  return references;
}

std::set<std::string> ModelsNamed(const v1::Route& route) {
  std::set<std::string> names;
  for (const Reference& reference : ReferencesOf(route)) names.emplace(reference.model);
  return names;
}

absl::Status CheckReferences(const v1::Route& route, const ModelLookup& find) {
  for (const Reference& reference : ReferencesOf(route)) {
    const v1::Model* const model = find(reference.model);
    if (model && Holds(reference, *model)) continue;
    const std::string missing =
        model ? Thing(reference) : fmt::format("model '{}'", Clip(reference.model));
    return WithBadField(
        absl::FailedPreconditionError(
            fmt::format("{} names {}, which is not in the catalogue; add it first, or force the "
                        "change",
                        reference.field, missing)),
        reference.field);
  }
  return absl::OkStatus();
}

absl::Status CheckStillThere(const v1::Route& route, const v1::Model& before,
                             const v1::Model* after) {
  for (const Reference& reference : ReferencesOf(route)) {
    if (reference.model != before.name()) continue;
    if (after && (!Holds(reference, before) || Holds(reference, *after))) continue;
    return absl::FailedPreconditionError(
        fmt::format("the route for model '{}' names {} at {}, which would be gone; change the "
                    "route first, or force the change",
                    Clip(route.model()), Thing(reference), reference.field));
  }
  return absl::OkStatus();
}

bool Narrows(const v1::Model& before, const v1::Model& after) {
  return std::any_of(before.versions().begin(), before.versions().end(),
                     [&](const auto& version) { return !HasVersion(after, version.version()); }) ||
         std::any_of(before.aliases().begin(), before.aliases().end(),
                     [&](const auto& alias) { return !after.aliases().contains(alias.first); });
}

}  // namespace torchfleet::registry
