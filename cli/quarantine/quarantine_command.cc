#include "cli/quarantine/quarantine_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "base/status.h"
#include "cli/client/operator_client.h"
#include "cli/exit_codes.h"
#include "cli/quarantine/quarantine_text.h"

namespace torchfleet::cli {
namespace {

// Says what went wrong with some; the exit code for `done` of `asked` that went well.
int ExitCode(const std::vector<absl::Status>& failures, size_t asked) {
  int code = kOk;
  for (const absl::Status& status : failures) code = std::max(code, Fail(status));
  return failures.size() < asked ? std::min(code, kFailed) : code;
}

int List(const QuarantineOptions& options, const std::vector<std::string>& gateways) {
  QuarantinedRequests requests;
  std::vector<absl::Status> failures;
  for (const auto& reply : AskOperators(gateways, "GET", "/quarantine", options.timeout)) {
    const absl::Status status = reply.body.ok()
                                    ? AddQuarantinePage(reply.address, *reply.body, requests)
                                    : reply.body.status();
    if (!status.ok()) failures.push_back(status);
  }
  if (failures.size() < gateways.size()) {
    const std::string text =
        options.format == "json" ? QuarantineAsJson(requests) : QuarantineAsTable(requests);
    std::fputs(text.c_str(), stdout);
  }
  return ExitCode(failures, gateways.size());
}

int Release(const QuarantineOptions& options, const std::vector<std::string>& gateways) {
  std::vector<absl::Status> failures;
  size_t absent = 0;
  const std::string path = "/quarantine/" + options.release;
  for (const auto& reply : AskOperators(gateways, "DELETE", path, options.timeout)) {
    if (reply.body.ok()) {
      fmt::print("{} is let out at {}\n", options.release, reply.address);
    } else if (absl::IsNotFound(reply.body.status())) {
      ++absent;
    } else {
      failures.push_back(reply.body.status());
    }
  }
  std::fflush(stdout);
  if (absent == gateways.size()) {
    return Fail(absl::NotFoundError(fmt::format("{} is not in quarantine", Clip(options.release))));
  }
  return ExitCode(failures, gateways.size());
}

}  // namespace

int RunQuarantine(const QuarantineOptions& options) {
  const auto gateways = GatewayOperators(options.operators);
  if (!gateways.ok()) return Fail(gateways.status());
  return options.release.empty() ? List(options, *gateways) : Release(options, *gateways);
}

}  // namespace torchfleet::cli
