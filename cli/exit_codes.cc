#include "cli/exit_codes.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace torchfleet::cli {

int Fail(const absl::Status& status) {
  fmt::print(stderr, "torchfleet: {}\n", std::string(status.message()));
  if (absl::IsUnavailable(status)) return kUnreachable;
  return kFailed;
}

bool WantsColour(int fd) {
  const char* no_colour = std::getenv("NO_COLOR");
  return (!no_colour || no_colour[0] == '\0') && isatty(fd) == 1;
}

}  // namespace torchfleet::cli
