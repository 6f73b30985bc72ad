#include "cli/completion/completion.h"

#include <CLI/CLI.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cstdio>
#include <string>

#include "tests/fakes/temporary_folder.h"

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

// What bash offers after these words.
std::string Offered(const CLI::App& app, const std::string& words, int at) {
  const TemporaryFolder folder;
  folder.Write("try", *CompletionScript(app, "bash") + "COMP_WORDS=(" + words + ")\nCOMP_CWORD=" +
                          std::to_string(at) + "\n_torchfleet\necho \"${COMPREPLY[@]}\"\n");
  FILE* pipe = popen(("bash --norc " + (folder.path() / "try").string()).c_str(), "r");
  REQUIRE(pipe);
  std::string text;
  char buffer[256];
  while (fgets(buffer, sizeof(buffer), pipe)) text += buffer;
  REQUIRE(pclose(pipe) == 0);
  return text;
}

TEST_CASE("CompletionScript: bash offers commands first, then the command's own flags", "[cli]") {
  CLI::App app("torchfleet");
  std::string value;
  app.add_subcommand("fly", "Goes up")->add_option("--height", value, "How high");
  app.add_subcommand("float", "Stays");
  app.add_subcommand("land", "Comes down")->add_option("--where", value, "Where");
  CHECK(Offered(app, "torchfleet fl", 1) == "fly float\n");
  CHECK(Offered(app, "torchfleet ''", 1) == "fly float land\n");
  CHECK(Offered(app, "torchfleet fly --", 2) == "--help --height\n");
  CHECK(Offered(app, "torchfleet land --w", 2) == "--where\n");
  CHECK(Offered(app, "torchfleet sink --", 2) == "\n");
}

TEST_CASE("CompletionScript: offers a command's own commands before their flags", "[cli]") {
  CLI::App app("torchfleet");
  std::string value;
  CLI::App* kite = app.add_subcommand("kite", "Kites");
  kite->add_option("--string", value, "How long");
  kite->add_subcommand("list", "All")->add_option("--colour", value, "Which");
  kite->add_subcommand("launch", "One")->add_option("--wind", value, "How much");
  app.add_subcommand("launch", "Another")->add_option("--date", value, "When");
  CHECK(Offered(app, "torchfleet kite l", 2) == "list launch\n");
  CHECK(Offered(app, "torchfleet kite ''", 2) == "list launch\n");
  CHECK(Offered(app, "torchfleet kite --", 2) == "--help --string\n");
  CHECK(Offered(app, "torchfleet kite list --", 3) == "--help --colour\n");
  CHECK(Offered(app, "torchfleet kite launch --w", 3) == "--wind\n");
  CHECK(Offered(app, "torchfleet launch --", 2) == "--help --date\n");
  const std::string fish = *CompletionScript(app, "fish");
  CHECK(fish.find("'__fish_seen_subcommand_from kite; and __fish_seen_subcommand_from launch' "
                  "-l wind") != std::string::npos);
}

}  // namespace
}  // namespace torchfleet::cli
