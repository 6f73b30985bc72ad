#include "base/process.h"

#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace torchfleet {
namespace {

// The exit code; nothing when the process should go on.
std::optional<int> Parse(CLI::App& app, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "program");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  return ParseFlags(app, static_cast<int>(argv.size()), argv.data());
}

TEST_CASE("EnvironmentName: is the flag in capitals behind our prefix", "[base][process]") {
  CHECK(EnvironmentName("--log-format") == "TORCHFLEET_LOG_FORMAT");
  CHECK(EnvironmentName("listen") == "TORCHFLEET_LISTEN");
}

TEST_CASE("AddFlag: the flag wins over its environment variable, that over the default",
          "[base][process]") {
  const auto parsed = [](const std::vector<std::string>& arguments) {
    std::string value = "default";
    CLI::App app;
    AddFlag(app, "--test-value", value, "");
    REQUIRE_FALSE(Parse(app, arguments).has_value());
    return value;
  };
  CHECK(parsed({}) == "default");
  setenv("TORCHFLEET_TEST_VALUE", "environment", 1);
  CHECK(parsed({}) == "environment");
  CHECK(parsed({"--test-value", "flag"}) == "flag");
  unsetenv("TORCHFLEET_TEST_VALUE");
}

TEST_CASE("AddDurationFlag: takes durations and nothing else", "[base][process]") {
  struct Row {
    std::string text;
    std::optional<absl::Duration> value;
  };
  const std::vector<Row> rows = {
      {"300ms", absl::Milliseconds(300)},
      {"5s", absl::Seconds(5)},
      {"1m30s", absl::Seconds(90)},
      {"0", absl::ZeroDuration()},
      {"5", std::nullopt},
      {"soon", std::nullopt},
      {"", std::nullopt},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    absl::Duration value = absl::Seconds(7);
    CLI::App app;
    AddDurationFlag(app, "--test-wait", value, "");
    const auto exit_code = Parse(app, {"--test-wait=" + row.text});
    if (row.value) {
      CHECK_FALSE(exit_code.has_value());
      CHECK(value == *row.value);
    } else {
      CHECK(exit_code == 2);
    }
  }
  absl::Duration value;
  CLI::App app;
  AddDurationFlag(app, "--test-wait", value, "");
  CHECK(Parse(app, {"--test-wait=-5s"}) == 2);
}

TEST_CASE("ParseFlags: help and version end well, unknown flags do not", "[base][process]") {
  const auto exit_code = [](const std::string& argument) {
    ProcessOptions options{.role = "test"};
    CLI::App app;
    AddProcessFlags(app, options);
    return Parse(app, {argument});
  };
  CHECK(exit_code("--help") == 0);
  CHECK(exit_code("--version") == 0);
  CHECK(exit_code("--no-such-flag") == 2);
  CHECK(exit_code("--log-format=xml") == 2);
}

TEST_CASE("AnnounceReady: writes one line of JSON and closes the descriptor", "[base][process]") {
  std::array<int, 2> ends{};
  REQUIRE(pipe(ends.data()) == 0);
  AnnounceReady({.role = "test", .ready_fd = ends[1]},
                {.address = "127.0.0.1:1", .operator_address = "127.0.0.1:2"});
  std::string text;
  std::array<char, 256> buffer{};
  for (ssize_t n; (n = read(ends[0], buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<size_t>(n));
  }
  close(ends[0]);
  CHECK(text.back() == '\n');
  const auto line = nlohmann::json::parse(text);
  CHECK(line["role"] == "test");
  CHECK(line["address"] == "127.0.0.1:1");
  CHECK(line["operator_address"] == "127.0.0.1:2");
  CHECK(line["pid"] == getpid());
}

}  // namespace
}  // namespace torchfleet
