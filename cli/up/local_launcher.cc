#include "cli/up/local_launcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/time/clock.h"
#include "nlohmann/json.hpp"

namespace torchfleet::cli {
namespace {

sigset_t OurSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGCHLD, SIGINT, SIGTERM}) sigaddset(&set, signal);
  return set;
}

void Close(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

std::string Reason(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    return fmt::format("was ended by signal {} ({})", WTERMSIG(wait_status),
                       strsignal(WTERMSIG(wait_status)));
  }
  return fmt::format("ended with exit code {}", WEXITSTATUS(wait_status));
}

// Between fork and exec: only calls that are safe there.
[[noreturn]] void BecomeChild(char* const* arguments, int ready_fd, int output_fd) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  dup2(output_fd, STDOUT_FILENO);
  dup2(output_fd, STDERR_FILENO);
  const int null = open("/dev/null", O_RDONLY);
  if (null >= 0) dup2(null, STDIN_FILENO);
  fcntl(ready_fd, F_SETFD, 0);
  execv(arguments[0], arguments);
  constexpr char kText[] = "the binary cannot be run\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kText, sizeof(kText) - 1);
  _exit(127);
}

// What has come so far; false at the end.
bool ReadSome(int fd, std::string& text) {
  char buffer[4096];
  const ssize_t count = read(fd, buffer, sizeof(buffer));
  if (count > 0) text.append(buffer, static_cast<size_t>(count));
  return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
}

}  // namespace

LocalLauncher::LocalLauncher(std::filesystem::path binaries, bool colour)
    : binaries_(std::move(binaries)), colour_(colour) {
  const sigset_t set = OurSignals();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signal_fd_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

LocalLauncher::~LocalLauncher() {
  for (auto& [name, child] : children_) {
    if (child.pid > 0) {
      kill(child.pid, SIGKILL);
      waitpid(child.pid, nullptr, 0);
    }
    Close(child.ready_fd);
    Close(child.output_fd);
  }
  Close(signal_fd_);
  Close(wake_fd_);
}

absl::Status LocalLauncher::Launch(const ProcessSpec& process) {
  const std::string binary = process.binary.find('/') == std::string::npos
                                 ? (binaries_ / process.binary).string()
                                 : process.binary;
  if (access(binary.c_str(), X_OK) != 0) {
    return absl::NotFoundError(fmt::format("{} is not there; build it with make", binary));
  }
  int ready[2], output[2];
  if (pipe2(ready, O_CLOEXEC) != 0) {
    return absl::ResourceExhaustedError(fmt::format("no pipe: {}", std::strerror(errno)));
  }
  if (pipe2(output, O_CLOEXEC) != 0) {
    close(ready[0]);
    close(ready[1]);
    return absl::ResourceExhaustedError(fmt::format("no pipe: {}", std::strerror(errno)));
  }
  std::vector<std::string> words = {binary};
  words.insert(words.end(), process.arguments.begin(), process.arguments.end());
  words.insert(words.end(), {"--ready-fd", std::to_string(ready[1])});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  const pid_t pid = fork();
  if (pid == 0) BecomeChild(arguments.data(), ready[1], output[1]);
  const int error = errno;
  close(ready[1]);
  close(output[1]);
  if (pid < 0) {
    close(ready[0]);
    close(output[0]);
    return absl::ResourceExhaustedError(fmt::format("no process: {}", std::strerror(error)));
  }
  fcntl(ready[0], F_SETFL, O_NONBLOCK);
  fcntl(output[0], F_SETFL, O_NONBLOCK);
  const auto known = children_.find(process.name);
  const int colour = known == children_.end() ? 31 + launched_++ % 6 : known->second.colour;
  children_[process.name] = {pid, ready[0], output[0], {}, {}, colour};
  return absl::OkStatus();
}

void LocalLauncher::Stop(const std::string& name) {
  const auto found = children_.find(name);
  if (found != children_.end() && found->second.pid > 0) kill(found->second.pid, SIGTERM);
}

void LocalLauncher::Kill(const std::string& name) {
  const auto found = children_.find(name);
  if (found != children_.end() && found->second.pid > 0) kill(found->second.pid, SIGKILL);
}

std::optional<LaunchEvent> LocalLauncher::Pending() {
  if (events_.empty()) return std::nullopt;
  LaunchEvent event = std::move(events_.front());
  events_.erase(events_.begin());
  return event;
}

std::optional<LaunchEvent> LocalLauncher::Wait(absl::Duration timeout) {
  const absl::Time limit = absl::Now() + timeout;
  while (true) {
    if (auto event = Pending()) return event;
    const absl::Duration left = limit - absl::Now();
    if (timeout != absl::InfiniteDuration() && left <= absl::ZeroDuration()) return std::nullopt;
    const int64_t ms = timeout == absl::InfiniteDuration()
                           ? -1
                           : absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1)));
    if (Poll(static_cast<int>(ms))) return Pending();
  }
}

void LocalLauncher::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof(one));
}

bool LocalLauncher::Poll(int timeout_ms) {
  std::vector<pollfd> fds = {{signal_fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
  for (const auto& [name, child] : children_) {
    fds.push_back({child.ready_fd, POLLIN, 0});  // poll skips those under 0
    fds.push_back({child.output_fd, POLLIN, 0});
  }
  if (poll(fds.data(), fds.size(), timeout_ms) <= 0) return false;
  // Output before exits, so that what a process said last comes first.
  size_t i = 2;
  for (auto& [name, child] : children_) {
    if (fds[i++].revents != 0) ReadReady(name, child);
    if (fds[i++].revents != 0) ReadOutput(name, child);
  }
  if (fds[0].revents != 0) ReadSignals();
  uint64_t count = 0;
  return fds[1].revents != 0 && read(wake_fd_, &count, sizeof(count)) == sizeof(count);
}

void LocalLauncher::ReadSignals() {
  signalfd_siginfo info;
  while (read(signal_fd_, &info, sizeof(info)) == sizeof(info)) {
    if (info.ssi_signo == SIGCHLD) continue;
    if (++interrupts_ > 1) {
      for (const auto& [name, child] : children_) Kill(name);
      _exit(130);
    }
    events_.push_back({LaunchEvent::Kind::kInterrupted, {}, {}, {}, 0, {}});
  }
  Reap();
}

void LocalLauncher::ReadReady(const std::string& name, Child& child) {
  const bool more = ReadSome(child.ready_fd, child.ready_line);
  const bool whole = !child.ready_line.empty() && child.ready_line.back() == '\n';
  if (more && !whole) return;
  Close(child.ready_fd);
  if (!whole) return;  // it ended before it was ready; its exit follows
  const auto report = nlohmann::json::parse(child.ready_line, nullptr, false);
  if (!report.is_object()) return;
  events_.push_back({LaunchEvent::Kind::kReady,
                     name,
                     report.value("address", ""),
                     report.value("operator_address", ""),
                     report.value("pid", int64_t{0}),
                     {}});
}

void LocalLauncher::ReadOutput(const std::string& name, Child& child) {
  const bool more = ReadSome(child.output_fd, child.output_line);
  size_t end;
  while ((end = child.output_line.find('\n')) != std::string::npos) {
    Print(name, child, child.output_line.substr(0, end));
    child.output_line.erase(0, end + 1);
  }
  if (more) return;
  if (!child.output_line.empty()) Print(name, child, child.output_line);
  child.output_line.clear();
  Close(child.output_fd);
}

void LocalLauncher::Reap() {
  for (auto& [name, child] : children_) {
    int status = 0;
    if (child.pid <= 0 || waitpid(child.pid, &status, WNOHANG) != child.pid) continue;
    child.pid = -1;
    // The pipes hold what it said before it ended.
    if (child.ready_fd >= 0) ReadReady(name, child);
    if (child.output_fd >= 0) ReadOutput(name, child);
    Close(child.ready_fd);
    Close(child.output_fd);
    events_.push_back({LaunchEvent::Kind::kExited,
                       name,
                       {},
                       {},
                       0,
                       Reason(status),
                       WIFEXITED(status) ? std::optional(WEXITSTATUS(status)) : std::nullopt});
  }
}

void LocalLauncher::Print(const std::string& name, const Child& child,
                          const std::string& line) const {
  const std::string text =
      colour_ ? fmt::format("\033[{}m{:<16} |\033[0m {}\n", child.colour, name, line)
              : fmt::format("{:<16} | {}\n", name, line);
  [[maybe_unused]] const size_t written = fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace torchfleet::cli
