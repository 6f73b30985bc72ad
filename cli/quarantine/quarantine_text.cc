#include "cli/quarantine/quarantine_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/time/time.h"
#include "cli/text_table.h"
#include "nlohmann/json.hpp"

namespace torchfleet::cli {

bool IsFingerprint(const std::string& text) {
  return text.size() == 16 && std::all_of(text.begin(), text.end(),
                                          [](unsigned char c) { return absl::ascii_isxdigit(c); });
}

absl::Status AddQuarantinePage(const std::string& address, const std::string& page,
                               QuarantinedRequests& requests) {
  QuarantinedRequests sum = requests;
  try {
    const auto json = nlohmann::json::parse(page);
    for (const nlohmann::json& entry : json.at("quarantine")) {
      QuarantinedRequest& request = sum[entry.at("fingerprint").get<std::string>()];
      request.model = entry.at("model").get<std::string>();
      request.age_seconds = std::max(request.age_seconds, entry.at("age_seconds").get<int64_t>());
      request.refused += entry.at("refused").get<uint64_t>();
      for (const nlohmann::json& worker : entry.at("workers")) {
        request.workers.insert(worker.get<std::string>());
      }
      ++request.gateways;
    }
  } catch (const nlohmann::json::exception&) {
    return absl::InternalError(fmt::format(
        "{} answered with what is no quarantine; expected a gateway's operators' port", address));
  }
  requests = std::move(sum);
  return absl::OkStatus();
}

std::string QuarantineAsTable(const QuarantinedRequests& requests) {
  if (requests.empty()) return "nothing is in quarantine\n";
  TableRows rows = {{"FINGERPRINT", "MODEL", "AGE", "REFUSED", "DIED"}};
  for (const auto& [fingerprint, request] : requests) {
    rows.push_back(
        {fingerprint, request.model, absl::FormatDuration(absl::Seconds(request.age_seconds)),
         std::to_string(request.refused), fmt::format("{}", fmt::join(request.workers, ","))});
  }
  return AsTable(rows);
}

std::string QuarantineAsJson(const QuarantinedRequests& requests) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const auto& [fingerprint, request] : requests) {
    list.push_back({{"fingerprint", fingerprint},
                    {"model", request.model},
                    {"age_seconds", request.age_seconds},
                    {"refused", request.refused},
                    {"workers", request.workers},
                    {"gateways", request.gateways}});
  }
  return nlohmann::ordered_json{{"quarantine", std::move(list)}}.dump(1) + "\n";
}

}  // namespace torchfleet::cli
