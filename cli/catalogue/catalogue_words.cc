#include "cli/catalogue/catalogue_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/status.h"

namespace torchfleet::cli {
namespace {

namespace v1 = torchfleet::registry::v1;

// An alias begins with a letter.
void SetSelector(const std::string& selector, v1::RouteTarget& target) {
  absl::ascii_isdigit(static_cast<unsigned char>(selector.front())) ? target.set_version(selector)
                                                                    : target.set_alias(selector);
}

absl::StatusOr<v1::RouteTarget> ParseShare(const std::string& word) {
  const size_t equals = word.rfind('=');
  uint32_t weight = 0;
  auto target = ParseTarget(word.substr(0, equals));
  if (equals == word.npos || !target.ok() || !absl::SimpleAtoi(word.substr(equals + 1), &weight)) {
    return absl::InvalidArgumentError(
        fmt::format("got '{}'; expected a version or an alias and its weight, such as 3=90, prod=9 "
                    "or other-model/3=1",
                    Clip(word)));
  }
  target->set_weight(weight);
  return target;
}

// The rule that matches all; null when there is none.
v1::RouteRule* RuleForAll(v1::Route& route) {
  const bool takes_all = !route.rules().empty() && route.rules().rbegin()->matches().empty();
  return takes_all ? &*route.mutable_rules()->rbegin() : nullptr;
}

absl::StatusOr<v1::RouteRule*> RuleOnTrial(v1::Route& route) {
  v1::RouteRule* const rule = RuleForAll(route);
  if (rule && rule->has_canary()) return rule;
  return absl::FailedPreconditionError(
      fmt::format("the rule of model '{}' that takes every call has no canary", route.model()));
}

}  // namespace

absl::Status EditMap(const std::vector<std::string>& words, TextMap& map) {
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (equals != word.npos && equals > 0) {
      map[word.substr(0, equals)] = word.substr(equals + 1);
    } else if (equals == word.npos && word.size() > 1 && word.ends_with('-')) {
      const std::string key = word.substr(0, word.size() - 1);
      if (map.erase(key) == 0) {
        return absl::NotFoundError(
            fmt::format("got '{}', but there is no '{}' to take away", Clip(word), Clip(key)));
      }
    } else {
      return absl::InvalidArgumentError(
          fmt::format("got '{}'; expected NAME=VALUE, or NAME- to take it away", Clip(word)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::RouteTarget>> ParseSplit(const std::vector<std::string>& words) {
  std::vector<v1::RouteTarget> targets;
  for (const std::string& word : words) {
    ASSIGN_OR_RETURN(targets.emplace_back(), ParseShare(word));
  }
  return targets;
}

void Split(const std::vector<v1::RouteTarget>& targets, const std::string& by_header,
           v1::Route& route) {
  v1::RouteRule* const known = RuleForAll(route);
  v1::RouteRule& rule = known ? *known : *route.add_rules();
  rule.mutable_targets()->Assign(targets.begin(), targets.end());
  if (!by_header.empty()) rule.set_split_by_header(by_header);
}

absl::StatusOr<v1::RouteTarget> ParseTarget(const std::string& word) {
  const size_t slash = word.rfind('/');
  const std::string selector = slash == word.npos ? word : word.substr(slash + 1);
  if (selector.empty() || slash == 0) {
    return absl::InvalidArgumentError(fmt::format(
        "got '{}'; expected a version or an alias, such as 3, prod or other-model/3", Clip(word)));
  }
  v1::RouteTarget target;
  if (slash != word.npos) target.set_model(word.substr(0, slash));
  SetSelector(selector, target);
  return target;
}

absl::StatusOr<v1::RouteCanary> ParseCanary(const CanaryWords& words) {
  v1::RouteCanary canary;
  ASSIGN_OR_RETURN(*canary.mutable_target(), ParseTarget(words.version));
  for (const auto text : absl::StrSplit(words.steps, ',')) {
    uint32_t percent = 0;
    if (!absl::SimpleAtoi(text, &percent)) {
      return absl::InvalidArgumentError(fmt::format(
          "--steps is '{}'; expected shares in per cent, such as 1,10,50", Clip(words.steps)));
    }
    canary.add_steps(percent);
  }
  const int64_t seconds = absl::ToInt64Seconds(words.step_time);
  if (seconds < 1 || seconds > std::numeric_limits<uint32_t>::max()) {
    return absl::InvalidArgumentError(fmt::format("--step-time is {}; expected a second or more",
                                                  absl::FormatDuration(words.step_time)));
  }
  canary.set_step_seconds(static_cast<uint32_t>(seconds));
  canary.set_min_calls(words.min_calls);
  canary.set_max_more_errors_percent(words.max_more_errors_percent);
  canary.set_max_latency_percent(words.max_latency_percent);
  return canary;
}

absl::Status BeginCanary(const v1::RouteCanary& canary,
                         const std::optional<v1::RouteTarget>& stable, const std::string& by_header,
                         v1::Route& route) {
  v1::RouteRule* rule = RuleForAll(route);
  if (!rule && !stable) {
    return absl::FailedPreconditionError(
        fmt::format("no rule says which version of model '{}' serves now, and the latest may be "
                    "the canary itself; name that version by --stable",
                    route.model()));
  }
  if (!rule) rule = route.add_rules();
  if (stable) {
    rule->clear_targets();
    *rule->add_targets() = *stable;
  }
  *rule->mutable_canary() = canary;
  if (!by_header.empty()) rule->set_split_by_header(by_header);
  return absl::OkStatus();
}

absl::Status EndCanary(v1::Route& route) {
  ASSIGN_OR_RETURN(v1::RouteRule* const rule, RuleOnTrial(route));
  rule->clear_canary();
  return absl::OkStatus();
}

absl::Status PromoteCanary(v1::Route& route) {
  ASSIGN_OR_RETURN(v1::RouteRule* const rule, RuleOnTrial(route));
  rule->clear_targets();
  *rule->add_targets() = rule->canary().target();
  rule->clear_canary();
  return absl::OkStatus();
}

}  // namespace torchfleet::cli
