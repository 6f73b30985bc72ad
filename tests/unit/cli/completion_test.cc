#include "cli/completion/completion.h"

#include <CLI/CLI.hpp>
#include <catch2/catch_test_macros.hpp>
#include <string>

namespace torchfleet::cli {
namespace {

TEST_CASE("CompletionScript: names every command and flag of the command line itself", "[cli]") {
  CLI::App app("torchfleet");
  std::string value;
  app.add_subcommand("fly", "Goes up; it's quick")->add_option("--height,-g", value, "How high");
  app.add_subcommand("land", "Comes down");
  for (const char* shell : {"bash", "zsh", "fish"}) {
    CAPTURE(shell);
    const std::string script = *CompletionScript(app, shell);
    CHECK(script.find("fly") != std::string::npos);
    CHECK(script.find("land") != std::string::npos);
    CHECK(script.find("height") != std::string::npos);
  }
  CHECK(CompletionScript(app, "fish")->find("'Goes up; it\\'s quick'") != std::string::npos);
  const absl::Status status = CompletionScript(app, "tcsh").status();
  CHECK(absl::IsInvalidArgument(status));
  CHECK(status.message() == "no completion for shell 'tcsh'; expected bash, zsh or fish");
}

}  // namespace
}  // namespace torchfleet::cli
