#pragma once
// Changes of models and routes as words of a command line. Pure.
//
// Errors are INVALID_ARGUMENT and say what came and what was expected; whether
// the result is right is the registry's to say.

#include <google/protobuf/map.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/catalogue/catalogue_options.h"
#include "torchfleet/registry/v1/catalogue.pb.h"

namespace torchfleet::cli {

using TextMap = google::protobuf::Map<std::string, std::string>;

// `KEY=VALUE` sets, `KEY-` takes away; NOT_FOUND where there is no such key.
absl::Status EditMap(const std::vector<std::string>& words, TextMap& map);

// Each word a target and its weight: `3=90`, `prod=9` by alias, `cnn/3=1` of
// another model.
absl::StatusOr<std::vector<torchfleet::registry::v1::RouteTarget>> ParseSplit(
    const std::vector<std::string>& words);

// These are the targets of calls that no rule of the route picks out: of its rule
// that matches all, which is added at the end where there is none. `by_header`,
// unless empty, is its split_by_header.
void Split(const std::vector<torchfleet::registry::v1::RouteTarget>& targets,
           const std::string& by_header, torchfleet::registry::v1::Route& route);

// `words.version` is to be on trial.
absl::StatusOr<torchfleet::registry::v1::RouteCanary> ParseCanary(const CanaryWords& words);
// A version or an alias, with OTHER-MODEL/ before it for another model's.
absl::StatusOr<torchfleet::registry::v1::RouteTarget> ParseTarget(const std::string& word);

// Begins a trial in the rule that matches all, beside `stable` or, without it, beside
// the targets that the rule has. FAILED_PRECONDITION when there is neither.
absl::Status BeginCanary(const torchfleet::registry::v1::RouteCanary& canary,
                         const std::optional<torchfleet::registry::v1::RouteTarget>& stable,
                         const std::string& by_header, torchfleet::registry::v1::Route& route);
// Ends the trial of that rule: its calls go to its targets, or all to the version
// that was on trial. FAILED_PRECONDITION when there is none.
absl::Status EndCanary(torchfleet::registry::v1::Route& route);
absl::Status PromoteCanary(torchfleet::registry::v1::Route& route);

}  // namespace torchfleet::cli
