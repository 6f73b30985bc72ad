#include "gateway/metrics/quarantine_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "absl/strings/ascii.h"
#include "base/log.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace torchfleet::gateway {
namespace {

constexpr size_t kDigits = 16;

OperatorAnswer Json(int code, const nlohmann::ordered_json& json) {
  return {
      .code = code,
      .type = "application/json; charset=utf-8",
      .body = json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n"};
}

OperatorAnswer Error(int code, const std::string& text) { return Json(code, {{"error", text}}); }

std::optional<uint64_t> ReadFingerprint(const std::string& text) {
  const bool digits = std::all_of(text.begin(), text.end(),
                                  [](unsigned char c) { return absl::ascii_isxdigit(c); });
  if (text.size() != kDigits || !digits) return std::nullopt;
  uint64_t fingerprint = 0;
  std::from_chars(text.data(), text.data() + text.size(), fingerprint, 16);
  return fingerprint;
}

OperatorAnswer List(Quarantine& quarantine, Instant now) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Quarantine::Entry& entry : quarantine.List(now)) {
    list.push_back({{"fingerprint", fmt::format("{:016x}", entry.fingerprint)},
                    {"model", entry.model},
                    {"age_seconds", absl::ToInt64Seconds(now - entry.since)},
                    {"refused", entry.refused},
                    {"doubted", entry.doubted},
                    {"workers", entry.workers}});
  }
  return Json(200, {{"quarantine", std::move(list)}});
}

OperatorAnswer Release(Quarantine& quarantine, const std::string& text) {
  const auto fingerprint = ReadFingerprint(text);
  if (!fingerprint) {
    return Error(400, fmt::format("the fingerprint is '{}'; expected {} hexadecimal digits",
                                  Clip(text), kDigits));
  }
  const std::string name = fmt::format("{:016x}", *fingerprint);
  if (!quarantine.Release(*fingerprint)) {
    return Error(404, fmt::format("{} is not in quarantine", name));
  }
  LogInfo("an operator let a request out of quarantine", {{"fingerprint", name}});
  return Json(200, {{"released", name}});
}

}  // namespace

OperatorAnswer QuarantinePage(Quarantine& quarantine, const OperatorRequest& request, Instant now) {
  const size_t words = request.path.size();
  if (words == 1 && (request.method == "GET" || request.method == "HEAD")) {
    return List(quarantine, now);
  }
  if (words == 2 && request.method == "DELETE") return Release(quarantine, request.path[1]);
  if (words > 2) return Error(404, "there is /quarantine and /quarantine/FINGERPRINT");
  OperatorAnswer answer =
      Error(405, fmt::format("{} is not for this page; expected {}", Clip(request.method),
                             words == 1 ? "GET" : "DELETE"));
  answer.headers.emplace_back("Allow", words == 1 ? "GET, HEAD" : "DELETE");
  return answer;
}

}  // namespace torchfleet::gateway
