#include "cli/exit_codes.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>

namespace torchfleet::cli {
namespace {

TEST_CASE("WantsColour: on a terminal, unless NO_COLOR says something", "[cli]") {
  const int controller = posix_openpt(O_RDWR | O_NOCTTY);
  REQUIRE(controller >= 0);
  REQUIRE(grantpt(controller) == 0);
  REQUIRE(unlockpt(controller) == 0);
  const int terminal = open(ptsname(controller), O_RDWR | O_NOCTTY);
  REQUIRE(terminal >= 0);
  const int file = open("/dev/null", O_WRONLY);
  unsetenv("NO_COLOR");
  CHECK(WantsColour(terminal));
  CHECK_FALSE(WantsColour(file));
  setenv("NO_COLOR", "", 1);  // no-color.org: only when it is not empty
  CHECK(WantsColour(terminal));
  setenv("NO_COLOR", "1", 1);
  CHECK_FALSE(WantsColour(terminal));
  unsetenv("NO_COLOR");
  for (const int fd : {file, terminal, controller}) close(fd);
}

TEST_CASE("Fail: nobody answering is told from a failed call", "[cli]") {
  CHECK(Fail(absl::UnavailableError("nobody answers")) == kUnreachable);
  CHECK(Fail(absl::InvalidArgumentError("a wrong shape")) == kFailed);
  CHECK(Fail(absl::DeadlineExceededError("too late")) == kFailed);
}

}  // namespace
}  // namespace torchfleet::cli
