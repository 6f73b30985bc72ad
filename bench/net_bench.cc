// What a call costs a server on net/, a plain gRPC C++ one beside it, and a
// proxy on net/ in front of the first.
//
// Each server is a process of its own, with one thread for net/ and gRPC's
// callback API for the other; both echo a message's bytes. One client, on net/,
// drives them in turn in a closed loop. CPU is user and system time of the
// server's process over a window, divided by the calls answered in it; figures
// are medians of the windows.

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "net/client/channel.h"
#include "net/examples/proxy_service.h"
#include "net/grpc/server_call.h"
#include "net/server/server.h"

namespace {

using namespace torchfleet;

constexpr char kMethod[] = "/echo.Echo/Say";

struct Case {
  const char* name;
  size_t bytes;
  int in_flight;
  int connections;
};
constexpr Case kCases[] = {
    {"1 KiB, 1 in flight", 1 << 10, 1, 1}, {"1 KiB, 32", 1 << 10, 32, 4},
    {"1 KiB, 256", 1 << 10, 256, 16},      {"1 KiB, 1024", 1 << 10, 1024, 64},
    {"3 KiB, 32", 3 << 10, 32, 4},         {"64 KiB, 32", 64 << 10, 32, 4},
    {"1 MiB, 8", 1 << 20, 8, 4},
};

// --- the servers ---

struct NetEcho : net::GrpcServerHandler {
  void OnMessage(net::GrpcServerCall& call, const net::Slice& message) override {
    call.Send(message);
  }
  void OnHalfClose(net::GrpcServerCall& call) override { call.Finish({}); }
  void OnDone(net::GrpcServerCall&, bool) override {}
};

class GrpcEcho : public grpc::ServerGenericBidiReactor {
 public:
  GrpcEcho() { StartRead(&message_); }
  void OnReadDone(bool ok) override {
    ok ? StartWriteAndFinish(&message_, {}, grpc::Status::OK) : Finish(grpc::Status::OK);
  }
  void OnDone() override { delete this; }

 private:
  grpc::ByteBuffer message_;
};

class GrpcEchoService : public grpc::CallbackGenericService {
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    return new GrpcEcho;
  }
};

std::string StartNet(const std::string&) {
  static NetEcho echo;
  static const auto server = *net::Server::Start({}, [](net::Loop& loop) {
    auto service = std::make_unique<net::GrpcService>(loop);
    service->Add(kMethod, [](auto&) { return &echo; });
    return service;
  });
  return server->address();
}

std::string StartProxy(const std::string& behind) {
  static const auto address = *net::ParseAddress(behind);
  static const auto server = *net::Server::Start({}, [](net::Loop& loop) {
    return std::make_unique<net::example::ProxyService>(loop, address);
  });
  return server->address();
}

std::string StartGrpc(const std::string&) {
  static GrpcEchoService echo;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterCallbackGenericService(&echo);
  static const auto server = builder.BuildAndStart();
  return "127.0.0.1:" + std::to_string(port);
}

void Pin(int core) {
  if (sysconf(_SC_NPROCESSORS_ONLN) < 2) return;
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  sched_setaffinity(0, sizeof cores, &cores);
}

// A server in a process of its own, on core 0.
class Subject {
 public:
  // `behind`: whom it passes calls on to.
  explicit Subject(std::string (*start)(const std::string&), const std::string& behind = "") {
    int ends[2];
    if (pipe(ends) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      Pin(0);
      const std::string address = start(behind);
      if (write(ends[1], address.data(), address.size()) < 0) _exit(1);
      close(ends[1]);
      while (true) pause();
    }
    close(ends[1]);
    char address[100] = "";
    if (read(ends[0], address, sizeof address - 1) <= 0) std::abort();
    close(ends[0]);
    address_ = address;
    clock_getcpuclockid(pid_, &clock_);
  }
  ~Subject() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  const std::string& address() const { return address_; }
  double cpu() const { return Seconds(clock_); }
  static double Seconds(clockid_t clock) {
    timespec time;
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }

 private:
  pid_t pid_;
  std::string address_;
  clockid_t clock_;
};

// --- the client ---

struct Window {
  double server_us = 0, client_us = 0, calls_per_second = 0;
};

class Load {
 public:
  Load(const Subject& subject, const Case& load) : subject_(subject), message_(load.bytes, 'm') {
    for (int i = 0; i < load.in_flight; ++i) flights_.push_back(std::make_unique<Flight>(*this));
    channel_.emplace(*loop_, *net::ParseAddress(subject.address()),
                     net::Channel::Options{.connections = load.connections, .http2 = {}});
  }

  Window Run(absl::Duration length) {
    net::Timer end(*loop_, [&] { loop_->Stop(); });
    net::Timer begin(*loop_, [&] {
      calls_ = 0;
      wall_ = Subject::Seconds(CLOCK_MONOTONIC);
      own_ = Subject::Seconds(CLOCK_PROCESS_CPUTIME_ID);
      server_ = subject_.cpu();
      end.Start(length);
    });
    begin.Start(absl::Milliseconds(300));
    loop_->Post([this] {
      for (const auto& flight : flights_) flight->Next();
    });
    loop_->Run();
    const auto calls = static_cast<double>(calls_);
    const Window window = {1e6 * (subject_.cpu() - server_) / calls,
                           1e6 * (Subject::Seconds(CLOCK_PROCESS_CPUTIME_ID) - own_) / calls,
                           calls / (Subject::Seconds(CLOCK_MONOTONIC) - wall_)};
    ended_ = true;
    channel_.reset();
    return window;
  }

 private:
  struct Flight : net::GrpcClientHandler {
    explicit Flight(Load& owner) : load(owner) {}
    void Next() {
      auto& call = load.channel_->Call(kMethod, nullptr, absl::Seconds(30), *this);
      call.Send(load.message_);
      call.HalfClose();
    }
    void OnMessage(net::GrpcClientCall&, const net::Slice& answer) override {
      right = answer.size() == load.message_.size();
    }
    void OnDone(net::GrpcClientCall&, const net::GrpcOutcome& outcome) override {
      if (load.ended_) return;
      if (!outcome.status.ok() || !std::exchange(right, false)) {
        std::fprintf(stderr, "a call failed: %s\n", outcome.status.message.c_str());
        std::exit(1);
      }
      ++load.calls_;
      Next();
    }
    Load& load;
    bool right = false;
  };

  const Subject& subject_;
  const std::string message_;
  const std::unique_ptr<net::Loop> loop_ = *net::Loop::Create();
  std::optional<net::Channel> channel_;
  std::vector<std::unique_ptr<Flight>> flights_;
  size_t calls_ = 0;
  double wall_ = 0, own_ = 0, server_ = 0;
  bool ended_ = false;
};

double Median(std::vector<Window>& windows, double Window::*figure) {
  const auto middle = windows.begin() + static_cast<std::ptrdiff_t>(windows.size() / 2);
  std::nth_element(windows.begin(), middle, windows.end(),
                   [&](const Window& a, const Window& b) { return a.*figure < b.*figure; });
  return (*middle).*figure;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"CPU per call of servers on net/ and on gRPC C++"};
  double seconds = 1;
  int windows = 5;
  std::string only, subject_name;
  app.add_option("--seconds", seconds, "length of a window");
  app.add_option("--windows", windows, "windows per row");
  app.add_option("--case", only, "rows whose name begins so");
  app.add_option("--subject", subject_name, "net, grpc or proxy alone");
  CLI11_PARSE(app, argc, argv);

  std::map<std::string, std::unique_ptr<Subject>> subjects;
  const auto wanted = [&](const char* name) {
    return subject_name.empty() || subject_name == name;
  };
  const Subject behind(&StartNet);
  if (wanted("net")) subjects["net"] = std::make_unique<Subject>(&StartNet);
  if (wanted("grpc")) subjects["grpc"] = std::make_unique<Subject>(&StartGrpc);
  if (wanted("proxy")) subjects["proxy"] = std::make_unique<Subject>(&StartProxy, behind.address());
  Pin(1);
  std::puts("| message, calls in flight | server | CPU µs/call | calls/s | client CPU µs/call |");
  std::puts("|---|---|---|---|---|");
  for (const Case& load : kCases) {
    if (std::string_view(load.name).substr(0, only.size()) != only) continue;
    std::map<std::string, std::vector<Window>> taken;
    for (int i = 0; i < windows; ++i) {
      for (const auto& [name, subject] : subjects) {
        taken[name].push_back(Load(*subject, load).Run(absl::Seconds(seconds)));
      }
    }
    for (auto& [name, figures] : taken) {
      std::printf("| %s | %s | %.2f | %.0f | %.2f |\n", load.name, name.c_str(),
                  Median(figures, &Window::server_us), Median(figures, &Window::calls_per_second),
                  Median(figures, &Window::client_us));
      std::fflush(stdout);
    }
  }
}
