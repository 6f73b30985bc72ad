#include "cli/client/channel.h"

#include <fmt/format.h>

namespace torchfleet::cli {

std::shared_ptr<grpc::Channel> OpenChannel(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

absl::Status Readable(const grpc::Status& status, const std::string& address) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = status.error_message();
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE &&
      text.find("failed to connect") != std::string::npos) {
    return absl::UnavailableError(
        fmt::format("nobody answers at {}; is the fleet running? (torchfleet up)", address));
  }
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  const std::string message = fmt::format("{}: {}", absl::StatusCodeToString(code), text);
  // The server was there: not the exit code of an address without one.
  return code == absl::StatusCode::kUnavailable ? absl::InternalError(message)
                                                : absl::Status(code, message);
}

}  // namespace torchfleet::cli
