#include "registry/catalogue/rules/route_rules.h"

#include <fmt/format.h>

#include <set>
#include <string>
#include <tuple>

#include "base/status.h"
#include "registry/catalogue/rules/call_policy_rules.h"
#include "registry/catalogue/rules/fields.h"
#include "registry/catalogue/rules/references.h"

namespace torchfleet::registry {
namespace {

constexpr size_t kMaxValueBytes = 1024;
constexpr int kMaxSteps = 32;
constexpr uint32_t kMaxStepSeconds = 7 * 24 * 3600;
constexpr uint32_t kMaxLatencyPercent = 100000;
constexpr size_t kMaxReasonBytes = 256;

absl::Status TooMany(const std::string& field, int came, int limit) {
  return FieldError(field, fmt::format("has {} entries; expected at most {}", came, limit));
}

absl::Status CheckMatch(const std::string& field, const v1::RouteMatch& match) {
  switch (match.source_case()) {
    case v1::RouteMatch::kHeader:
      RETURN_IF_ERROR(CheckHeader(field + ".header", match.header()));
      break;
    case v1::RouteMatch::kParameter:
      if (match.parameter().empty()) {
        return FieldError(field + ".parameter", "is empty; expected a parameter's name");
      }
      RETURN_IF_ERROR(CheckText(field + ".parameter", match.parameter()));
      break;
    case v1::RouteMatch::SOURCE_NOT_SET:
      return FieldError(field, "says not where to look; expected a header or a parameter");
  }
  switch (match.value_case()) {
    case v1::RouteMatch::kExact:
      return CheckText(field + ".exact", match.exact(), kMaxValueBytes);
    case v1::RouteMatch::kPrefix:
      return CheckText(field + ".prefix", match.prefix(), kMaxValueBytes);
    case v1::RouteMatch::VALUE_NOT_SET:
      break;
  }
  return FieldError(field, "says not what must be there; expected exact or prefix");
}

absl::Status CheckTarget(const std::string& field, const v1::RouteTarget& target) {
  if (!target.model().empty()) RETURN_IF_ERROR(CheckName(field + ".model", target.model()));
  if (target.has_version()) RETURN_IF_ERROR(CheckVersion(field + ".version", target.version()));
  if (target.has_alias()) RETURN_IF_ERROR(CheckAlias(field + ".alias", target.alias()));
  if (target.weight() > kMaxWeight) {
    return FieldError(field + ".weight",
                      fmt::format("is {}; expected at most {}", target.weight(), kMaxWeight));
  }
  return absl::OkStatus();
}

bool NameTheSame(const v1::RouteTarget& a, const v1::RouteTarget& b, const std::string& model) {
  return ModelOf(a, model) == ModelOf(b, model) && a.version() == b.version() &&
         a.alias() == b.alias();
}

absl::Status CheckTargets(const std::string& field, const v1::RouteRule& rule,
                          const std::string& model) {
  if (rule.targets().empty()) {
    return FieldError(field, "is empty; expected at least one target");
  }
  if (rule.targets_size() > kMaxTargets) return TooMany(field, rule.targets_size(), kMaxTargets);
  std::set<std::tuple<std::string, std::string, std::string>> seen;
  uint64_t sum = 0;
  for (int i = 0; i < rule.targets_size(); ++i) {
    const v1::RouteTarget& target = rule.targets(i);
    const std::string at = fmt::format("{}[{}]", field, i);
    RETURN_IF_ERROR(CheckTarget(at, target));
    if (!seen.emplace(ModelOf(target, model), target.version(), target.alias()).second) {
      return FieldError(at, "names what a target before it names; expected each once");
    }
    sum += target.weight();
  }
  if (rule.targets_size() > 1 && sum == 0) {
    return FieldError(field, "has weights that are 0 in sum; expected a weight over 0");
  }
  return absl::OkStatus();
}

absl::Status CheckShadow(const std::string& field, const v1::RouteShadow& shadow) {
  if (!shadow.has_target()) {
    return FieldError(field + ".target", "is not set; expected where the copies go");
  }
  RETURN_IF_ERROR(CheckTarget(field + ".target", shadow.target()));
  if (shadow.percent() < 1 || shadow.percent() > 100) {
    return FieldError(field + ".percent",
                      fmt::format("is {}; expected 1 to 100", shadow.percent()));
  }
  return absl::OkStatus();
}

absl::Status CheckSteps(const std::string& field, const v1::RouteCanary& canary) {
  const auto& steps = canary.steps();
  if (steps.empty()) return FieldError(field + ".steps", "is empty; expected at least one share");
  if (steps.size() > kMaxSteps) return TooMany(field + ".steps", steps.size(), kMaxSteps);
  for (int i = 0; i < steps.size(); ++i) {
    const uint32_t least = i == 0 ? 1 : steps[i - 1] + 1;
    if (steps[i] >= least && steps[i] <= 100) continue;
    return FieldError(fmt::format("{}.steps[{}]", field, i),
                      fmt::format("is {}; expected 1 to 100, each over the one before", steps[i]));
  }
  if (canary.step() >= static_cast<uint32_t>(steps.size())) {
    return FieldError(field + ".step", fmt::format("is {}; expected one of {} steps, from 0",
                                                   canary.step(), steps.size()));
  }
  return absl::OkStatus();
}

absl::Status CheckAtMost(const std::string& field, uint32_t came, uint32_t limit) {
  if (came <= limit) return absl::OkStatus();
  return FieldError(field, fmt::format("is {}; expected at most {}", came, limit));
}

absl::Status CheckCanary(const std::string& field, const v1::RouteRule& rule,
                         const std::string& model) {
  const v1::RouteCanary& canary = rule.canary();
  if (!canary.has_target()) {
    return FieldError(field + ".target", "is not set; expected the version on trial");
  }
  RETURN_IF_ERROR(CheckTarget(field + ".target", canary.target()));
  for (const v1::RouteTarget& target : rule.targets()) {
    if (NameTheSame(target, canary.target(), model)) {
      return FieldError(field + ".target",
                        "names what a target of the rule names; expected another version");
    }
  }
  RETURN_IF_ERROR(CheckSteps(field, canary));
  RETURN_IF_ERROR(CheckAtMost(field + ".step_seconds", canary.step_seconds(), kMaxStepSeconds));
  RETURN_IF_ERROR(
      CheckAtMost(field + ".max_more_errors_percent", canary.max_more_errors_percent(), 100));
  RETURN_IF_ERROR(CheckAtMost(field + ".max_latency_percent", canary.max_latency_percent(),
                              kMaxLatencyPercent));
  if (canary.max_latency_percent() > 0 && canary.max_latency_percent() < 100) {
    return FieldError(field + ".max_latency_percent",
                      fmt::format("is {}; expected 100 or more, or 0 for the default",
                                  canary.max_latency_percent()));
  }
  if (!v1::RouteCanary::Phase_IsValid(canary.phase())) {
    return FieldError(field + ".phase", fmt::format("is {}; expected a phase that there is",
                                                    static_cast<int>(canary.phase())));
  }
  return CheckText(field + ".reason", canary.reason(), kMaxReasonBytes);
}

absl::Status CheckRule(const std::string& field, const v1::RouteRule& rule,
                       const std::string& model) {
  if (rule.matches_size() > kMaxMatches) {
    return TooMany(field + ".matches", rule.matches_size(), kMaxMatches);
  }
  for (int i = 0; i < rule.matches_size(); ++i) {
    RETURN_IF_ERROR(CheckMatch(fmt::format("{}.matches[{}]", field, i), rule.matches(i)));
  }
  RETURN_IF_ERROR(CheckTargets(field + ".targets", rule, model));
  if (!rule.split_by_header().empty()) {
    RETURN_IF_ERROR(CheckHeader(field + ".split_by_header", rule.split_by_header()));
  }
  if (rule.has_shadow()) RETURN_IF_ERROR(CheckShadow(field + ".shadow", rule.shadow()));
  return rule.has_canary() ? CheckCanary(field + ".canary", rule, model) : absl::OkStatus();
}

}  // namespace

absl::Status CheckRoute(const v1::Route& route) {
  RETURN_IF_ERROR(CheckName("route.model", route.model()));
  if (route.rules_size() > kMaxRules) return TooMany("route.rules", route.rules_size(), kMaxRules);
  for (int i = 0; i < route.rules_size(); ++i) {
    const std::string at = fmt::format("route.rules[{}]", i);
    if (i > 0 && route.rules(i - 1).matches().empty()) {
      return FieldError(at, "comes after a rule that matches every call; expected that one last");
    }
    RETURN_IF_ERROR(CheckRule(at, route.rules(i), route.model()));
  }
  RETURN_IF_ERROR(CheckCallPolicy(route.calls()));
  if (const size_t named = ModelsNamed(route).size(); named > kMaxModelsNamed) {
    return FieldError("route.rules",
                      fmt::format("name {} models; expected at most {}", named, kMaxModelsNamed));
  }
  if (route.ByteSizeLong() > kMaxStoredBytes) {
    return FieldError("route", fmt::format("has {} bytes; expected at most {}",
                                           route.ByteSizeLong(), kMaxStoredBytes));
  }
  return absl::OkStatus();
}

}  // namespace torchfleet::registry
