// The examples of net/README.md do what it says.

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <utility>
#include <vector>

namespace {

// A program, what it prints, and its end.
class Program {
 public:
  explicit Program(std::vector<std::string> words) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    REQUIRE(posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    output_ = fdopen(ends[0], "r");
  }
  ~Program() {
    fclose(output_);
    if (pid_ > 0) Exit(SIGKILL);
  }
  std::string Line() {
    char line[1000] = "";
    if (fgets(line, sizeof line, output_) == nullptr) return "";
    const std::string text = line;
    return text.substr(0, text.find('\n'));
  }
  // Its exit code, after this signal if it is one.
  int Exit(int signal = 0) {
    if (signal != 0) kill(pid_, signal);
    int status = 0;
    waitpid(std::exchange(pid_, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_ = 0;
  FILE* output_ = nullptr;
};

TEST_CASE("net/examples: the echo client hears the echo server", "[net][examples]") {
  Program server({ECHO_SERVER, "127.0.0.1:0"});
  const std::string address = server.Line();
  Program client({ECHO_CLIENT, address, "hello"});
  CHECK(client.Line() == "hello");
  CHECK(client.Exit() == 0);
  CHECK(server.Exit(SIGTERM) == 0);
  CHECK(Program({ECHO_CLIENT, address, "anyone?"}).Exit() == 14);  // UNAVAILABLE
}

}  // namespace
