#include "registry/catalogue/rules/call_policy_rules.h"

#include <fmt/format.h>

#include "base/status.h"
#include "registry/catalogue/rules/fields.h"

namespace torchfleet::registry {
namespace {

constexpr char kHash[] = "route.calls.consistent_hash";

absl::Status CheckHash(const v1::ConsistentHash& hash) {
  const std::string field = kHash;
  switch (hash.key_case()) {
    case v1::ConsistentHash::kHeader:
      RETURN_IF_ERROR(CheckHeader(field + ".header", hash.header()));
      break;
    case v1::ConsistentHash::kParameter:
      if (hash.parameter().empty()) {
        return FieldError(field + ".parameter", "is empty; expected a parameter's name");
      }
      RETURN_IF_ERROR(CheckText(field + ".parameter", hash.parameter()));
      break;
    case v1::ConsistentHash::KEY_NOT_SET:
      return FieldError(field, "says not where the key is; expected a header or a parameter");
  }
  const uint32_t percent = hash.max_load_percent();
  if (percent == 0 || (percent >= 100 && percent <= 1000)) return absl::OkStatus();
  return FieldError(field + ".max_load_percent",
                    fmt::format("is {}; expected 100 to 1000, or 0 for 125", percent));
}

absl::Status CheckMost(const std::string& field, uint32_t came, uint32_t most) {
  if (came <= most) return absl::OkStatus();
  return FieldError("route.calls.admission." + field,
                    fmt::format("is {}; expected at most {}", came, most));
}

}  // namespace

absl::Status CheckCallPolicy(const v1::CallPolicy& calls) {
  if (calls.has_consistent_hash()) RETURN_IF_ERROR(CheckHash(calls.consistent_hash()));
  // Neither holds for what is no number.
  const double percentile = calls.hedging().percentile();
  if (percentile != 0 && !(percentile >= 50 && percentile <= 99.9)) {
    return FieldError("route.calls.hedging.percentile",
                      fmt::format("is {}; expected 50 to 99.9, or 0 for 97.5", percentile));
  }
  const v1::Admission& admission = calls.admission();
  RETURN_IF_ERROR(CheckMost("max_in_flight", admission.max_in_flight(), kMaxInFlight));
  RETURN_IF_ERROR(CheckMost("max_waiting", admission.max_waiting(), kMaxWaiting));
  return CheckMost("max_wait_ms", admission.max_wait_ms(), kMaxWaitMs);
}

}  // namespace torchfleet::registry
