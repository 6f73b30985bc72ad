#include "cli/client/registry_client.h"

#include <pwd.h>
#include <unistd.h>

#include <array>

#include "absl/time/clock.h"
#include "base/status.h"
#include "cli/client/channel.h"
#include "cli/state/fleet_file.h"
#include "registry/client/registry_channel.h"
#include "torchfleet/registry/v1/registry.grpc.pb.h"

namespace torchfleet::cli {
namespace {

namespace v1 = torchfleet::registry::v1;

// `call(stub, context, answer)` at one address after another, until one answers.
template <typename Answer, typename Call>
absl::StatusOr<Answer> AskAny(const std::string& addresses, absl::Duration timeout,
                              const Call& call) {
  ASSIGN_OR_RETURN(const auto all, registry::ParseAddresses(addresses));
  absl::Status status;
  for (const std::string& address : all) {
    const auto stub = v1::RegistryService::NewStub(OpenChannel(address));
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    Answer answer;
    status = Readable(call(*stub, context, answer), address);
    if (status.ok()) return answer;
    if (!absl::IsUnavailable(status)) break;
  }
  return status;
}

}  // namespace

absl::StatusOr<std::string> RegistryAddresses(const std::string& named) {
  if (!named.empty()) return named;
  const auto fleet = ReadFleetFile();
  const std::string address = fleet ? fleet->AddressOf("registry") : "";
  if (!address.empty()) return address;
  return absl::UnavailableError(
      "no fleet runs here; start one with torchfleet up, or name a registry with --registry");
}

absl::StatusOr<v1::WatchResponse> FleetSnapshot(const std::string& addresses,
                                                absl::Duration timeout) {
  return AskAny<v1::WatchResponse>(
      addresses, timeout, [](auto& stub, grpc::ClientContext& context, v1::WatchResponse& answer) {
        const auto reader = stub.Watch(&context, v1::WatchRequest());
        if (!reader->Read(&answer)) return reader->Finish();
        context.TryCancel();
        v1::WatchResponse rest;
        while (reader->Read(&rest)) {
        }
        (void)reader->Finish();
        return grpc::Status();
      });
}

absl::StatusOr<v1::DrainResponse> AskToDrain(const std::string& addresses,
                                             const v1::DrainRequest& request,
                                             absl::Duration timeout) {
  return AskAny<v1::DrainResponse>(
      addresses, timeout, [&](auto& stub, grpc::ClientContext& context, v1::DrainResponse& answer) {
        return stub.Drain(&context, request, &answer);
      });
}

std::string Actor() {
  const passwd* const user = getpwuid(getuid());
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  return std::string(user ? user->pw_name : std::to_string(getuid())) + "@" + host.data();
}

}  // namespace torchfleet::cli
