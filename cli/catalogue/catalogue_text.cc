#include "cli/catalogue/catalogue_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "absl/time/time.h"
#include "cli/text_table.h"

namespace torchfleet::cli {
namespace {

namespace v1 = torchfleet::registry::v1;

std::string DateText(const google::protobuf::Timestamp& stamp) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixSeconds(stamp.seconds()),
                          absl::UTCTimeZone());
}

// key=value,… in the order of the keys.
template <typename Map>
std::string Pairs(const Map& map) {
  std::string text;
  for (const auto& [key, value] : std::map<std::string, std::string>(map.begin(), map.end())) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", key, value);
  }
  return text;
}

std::string VersionsText(const v1::Model& model) {
  std::string text;
  for (const auto& version : model.versions())
    text += (text.empty() ? "" : ",") + version.version();
  return text;
}

std::string ReplicasText(const v1::Model& model) {
  if (model.placement().unloaded()) return "unloaded";
  if (model.placement().max_replicas() > 0) {
    return fmt::format("{} to {}", std::max(1u, model.placement().min_replicas()),
                       model.placement().max_replicas());
  }
  return model.placement().replicas() == 0 ? "default"
                                           : std::to_string(model.placement().replicas());
}

std::string TargetText(const v1::RouteTarget& target) {
  std::string text = target.model().empty() ? "" : target.model() + "/";
  if (target.has_version()) return text + target.version();
  return text + (target.has_alias() ? target.alias() : "latest");
}

std::string TargetsText(const v1::RouteRule& rule) {
  std::string text;
  for (const auto& target : rule.targets()) {
    text += (text.empty() ? "" : " ") + TargetText(target);
    if (rule.targets_size() > 1) text += fmt::format("={}", target.weight());
  }
  return text;
}

std::string MatchesText(const v1::RouteRule& rule) {
  std::string text;
  for (const auto& match : rule.matches()) {
    text += text.empty() ? "" : " and ";
    text += match.has_header() ? "header " + match.header() : "parameter " + match.parameter();
    text += match.has_exact() ? fmt::format(" is '{}'", match.exact())
                              : fmt::format(" begins with '{}'", match.prefix());
  }
  return text.empty() ? "every call" : text;
}

std::string CanaryText(const v1::RouteCanary& canary) {
  const std::string target = TargetText(canary.target());
  const auto share = [&](int step) { return step < canary.steps_size() ? canary.steps(step) : 0; };
  const int step = static_cast<int>(canary.step());
  switch (canary.phase()) {
    case v1::RouteCanary::PHASE_ROLLED_BACK:
      return fmt::format("canary {} rolled back", target);
    case v1::RouteCanary::PHASE_PROMOTED:
      return fmt::format("canary {} promoted, at {}%", target, share(canary.steps_size() - 1));
    default:
      return fmt::format("canary {} at {}%, step {} of {}", target, share(step), step + 1,
                         canary.steps_size());
  }
}

std::string RuleText(const v1::RouteRule& rule) {
  std::string text = fmt::format("{} -> {}", MatchesText(rule), TargetsText(rule));
  if (!rule.split_by_header().empty()) text += fmt::format(", split by {}", rule.split_by_header());
  if (rule.has_shadow()) {
    text += fmt::format(", {}% copied to {}", rule.shadow().percent(),
                        TargetText(rule.shadow().target()));
  }
  if (rule.has_canary()) {
    text += ", " + CanaryText(rule.canary());
    if (!rule.canary().reason().empty()) text += fmt::format(" ({})", rule.canary().reason());
  }
  return text;
}

// What differs from what every model has.
std::string CallsText(const v1::CallPolicy& calls) {
  std::vector<std::string> parts;
  if (calls.has_idempotent() && !calls.idempotent()) parts.push_back("not idempotent");
  if (calls.has_consistent_hash()) {
    const auto& hash = calls.consistent_hash();
    parts.push_back(hash.has_header() ? "to the same worker by header " + hash.header()
                                      : "to the same worker by parameter " + hash.parameter());
    if (hash.max_load_percent() > 0) {
      parts.back() += fmt::format(" up to {}% of the mean", hash.max_load_percent());
    }
  }
  if (calls.hedging().disabled()) {
    parts.push_back("no hedges");
  } else if (calls.hedging().percentile() > 0) {
    parts.push_back(fmt::format("hedged after the {}th percentile", calls.hedging().percentile()));
  }
  const auto& admission = calls.admission();
  if (admission.max_in_flight() > 0) {
    parts.push_back(fmt::format("{} in flight", admission.max_in_flight()));
  }
  if (admission.max_waiting() > 0) {
    parts.push_back(fmt::format("{} waiting", admission.max_waiting()));
  }
  if (admission.max_wait_ms() > 0) {
    parts.push_back(fmt::format("for {} ms", admission.max_wait_ms()));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string ActionText(v1::Change::Action action) {
  switch (action) {
    case v1::Change::ACTION_CREATED:
      return "created";
    case v1::Change::ACTION_UPDATED:
      return "updated";
    case v1::Change::ACTION_DELETED:
      return "deleted";
    default:
      return "?";
  }
}

// Who and when, of a model or a route.
template <typename Resource>
std::string RecordText(const Resource& resource) {
  return fmt::format("revision  {}\ncreated   {}\nupdated   {} by {}\n", resource.revision(),
                     DateText(resource.created_at()), DateText(resource.updated_at()),
                     resource.updated_by());
}

}  // namespace

std::string ModelsAsTable(const std::vector<v1::Model>& models) {
  TableRows rows = {{"NAME", "VERSIONS", "ALIASES", "REPLICAS", "LABELS", "REVISION"}};
  for (const auto& model : models) {
    rows.push_back({model.name(), VersionsText(model), Pairs(model.aliases()), ReplicasText(model),
                    Pairs(model.labels()), std::to_string(model.revision())});
  }
  return AsTable(rows);
}

std::string RoutesAsTable(const std::vector<v1::Route>& routes) {
  TableRows rows = {{"MODEL", "RULES", "REST GOES TO", "REVISION"}};
  for (const auto& route : routes) {
    const bool takes_all = !route.rules().empty() && route.rules().rbegin()->matches().empty();
    rows.push_back({route.model(), std::to_string(route.rules_size()),
                    takes_all ? TargetsText(*route.rules().rbegin()) : "latest",
                    std::to_string(route.revision())});
  }
  return AsTable(rows);
}

std::string ChangesAsTable(const std::vector<v1::Change>& changes) {
  TableRows rows = {{"REVISION", "WHEN", "WHO", "WHAT"}};
  for (const auto& change : changes) {
    rows.push_back({std::to_string(change.revision()), DateText(change.at()), change.actor(),
                    fmt::format("{} {}", ActionText(change.action()),
                                change.has_model() ? "model " + change.model().name()
                                                   : "route " + change.route().model())});
  }
  return AsTable(rows);
}

std::string ModelAsText(const v1::Model& model) {
  std::string text =
      fmt::format("model     {}\nlabels    {}\naliases   {}\nreplicas  {}\n", model.name(),
                  Pairs(model.labels()), Pairs(model.aliases()), ReplicasText(model));
  for (const auto& version : model.versions()) {
    const std::string labels = Pairs(version.labels());
    text +=
        fmt::format("version   {}{}{}\n", version.version(), labels.empty() ? "" : "  ", labels);
    for (const auto& file : version.files()) {
      text += fmt::format("  {}  {} bytes  {}\n", file.sha256(), file.size(), file.path());
    }
  }
  return text + RecordText(model);
}

std::string RouteAsText(const v1::Route& route) {
  std::string text = fmt::format("model     {}\n", route.model());
  for (int i = 0; i < route.rules_size(); ++i) {
    text += fmt::format("rule {}    {}\n", i, RuleText(route.rules(i)));
  }
  const bool takes_all = !route.rules().empty() && route.rules().rbegin()->matches().empty();
  if (!takes_all) text += "else      latest\n";
  if (const std::string calls = CallsText(route.calls()); !calls.empty()) {
    text += fmt::format("calls     {}\n", calls);
  }
  return text + RecordText(route);
}

}  // namespace torchfleet::cli
