#include "cli/catalogue/catalogue_words.h"

#include <fmt/format.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "base/status.h"

namespace torchfleet::cli {
namespace {

namespace v1 = torchfleet::registry::v1;

absl::StatusOr<v1::RouteTarget> ParseTarget(const std::string& word) {
  const size_t equals = word.rfind('=');
  const size_t slash = word.substr(0, equals).rfind('/');
  const std::string selector =
      slash == word.npos ? word.substr(0, equals) : word.substr(slash + 1, equals - slash - 1);
  uint32_t weight = 0;
  if (equals == word.npos || selector.empty() || slash == 0 ||
      !absl::SimpleAtoi(word.substr(equals + 1), &weight)) {
    return absl::InvalidArgumentError(
        fmt::format("got '{}'; expected a version or an alias and its weight, such as 3=90, prod=9 "
                    "or other-model/3=1",
                    Clip(word)));
  }
  v1::RouteTarget target;
  target.set_weight(weight);
  if (slash != word.npos) target.set_model(word.substr(0, slash));
  // An alias begins with a letter.
  absl::ascii_isdigit(static_cast<unsigned char>(selector.front())) ? target.set_version(selector)
                                                                    : target.set_alias(selector);
  return target;
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
    ASSIGN_OR_RETURN(targets.emplace_back(), ParseTarget(word));
  }
  return targets;
}

void Split(const std::vector<v1::RouteTarget>& targets, const std::string& by_header,
           v1::Route& route) {
  const bool takes_all = !route.rules().empty() && route.rules().rbegin()->matches().empty();
  v1::RouteRule& rule = takes_all ? *route.mutable_rules()->rbegin() : *route.add_rules();
  rule.mutable_targets()->Assign(targets.begin(), targets.end());
  if (!by_header.empty()) rule.set_split_by_header(by_header);
}

}  // namespace torchfleet::cli
