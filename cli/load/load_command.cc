#include "cli/load/load_command.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/ids.h"
#include "base/shutdown.h"
#include "base/status.h"
#include "cli/client/inference_client.h"
#include "cli/exit_codes.h"
#include "cli/infer/request_inputs.h"
#include "cli/load/grpc_caller.h"
#include "cli/load/load_report.h"
#include "cli/load/load_requests.h"
#include "cli/load/load_thread.h"
#include "cli/load/rest_caller.h"
#include "cli/state/files.h"
#include "cli/state/fleet_file.h"

namespace torchfleet::cli {
namespace {

constexpr absl::Duration kDuration = absl::Seconds(10);

// What all threads share, and read only.
struct Target {
  std::string text;  // of the address
  net::Address address;
  std::shared_ptr<const net::TlsContext> tls;
  std::vector<std::string> bodies;
  std::vector<absl::Duration> arrivals;
  std::unique_ptr<AnswerCheck> check;
};

bool IsRest(const LoadOptions& options) { return options.call.protocol == "rest"; }
bool IsOpen(const LoadOptions& options) {
  return options.pattern.rate > 0 || !options.pattern.arrivals.empty();
}
int InFlight(const LoadOptions& options) {
  return IsOpen(options) ? options.pattern.max_in_flight : options.pattern.concurrency;
}
// Over HTTP/1.1 each call in flight has one of its own.
bool ByHttp1(const LoadOptions& options) { return IsRest(options) && options.call.http == 1; }
int Connections(const LoadOptions& options) {
  if (ByHttp1(options)) return InFlight(options);
  return std::max(options.connections, options.threads);
}

absl::Status CheckOptions(const LoadOptions& options) {
  const auto wrong = [](std::string text) { return absl::InvalidArgumentError(std::move(text)); };
  if (options.pattern.rate > 0 && !options.pattern.arrivals.empty()) {
    return wrong("--rate and --arrivals both say when calls begin; give one of them");
  }
  if (options.threads > InFlight(options)) {
    return wrong(fmt::format("{} threads have no use for {} calls in flight; give fewer --threads",
                             options.threads, InFlight(options)));
  }
  if (ByHttp1(options) && options.connections > 0) {
    return wrong("--connections is for gRPC and HTTP/2: over HTTP/1.1 each call in flight has one");
  }
  return absl::OkStatus();
}

absl::StatusOr<Target> Prepare(const LoadOptions& options) {
  Target target;
  ASSIGN_OR_RETURN(target.text, GatewayAddress(options.call.gateway));
  if (!options.pattern.arrivals.empty()) {
    ASSIGN_OR_RETURN(const std::string text, ReadFile(options.pattern.arrivals));
    const auto times = ParseArrivals(text);
    if (!times.ok()) {
      return absl::InvalidArgumentError(
          fmt::format("{}: {}", options.pattern.arrivals, std::string(times.status().message())));
    }
    target.arrivals = *times;
  }
  ASSIGN_OR_RETURN(const auto client, InferenceClient::Connect(target.text, options.pattern.timeout,
                                                               options.call.tls_ca));
  ASSIGN_OR_RETURN(const auto metadata, client->Metadata(options.call.model, options.call.version));
  ASSIGN_OR_RETURN(const auto specs, InputSpecs(metadata));
  ASSIGN_OR_RETURN(const auto requests, MakeRequests(specs, {.model = options.call.model,
                                                             .version = options.call.version,
                                                             .inputs = options.call.inputs,
                                                             .file = options.call.requests,
                                                             .batch = options.call.batch,
                                                             .seed = options.seed}));
  for (const auto& request : requests) {
    if (!IsRest(options)) {
      target.bodies.push_back(request.SerializeAsString());
      continue;
    }
    ASSIGN_OR_RETURN(std::string document, RequestAsJson(request));
    target.bodies.push_back(std::move(document));
  }
  ASSIGN_OR_RETURN(target.address, net::ParseAddress(target.text));
  if (!options.call.tls_ca.empty()) {
    ASSIGN_OR_RETURN(target.tls, net::TlsContext::ForClient(options.call.tls_ca));
  }
  if (options.check) target.check = IsRest(options) ? RestAnswerCheck() : GrpcAnswerCheck();
  return target;
}

// The whole goes as evenly as it can to the threads.
template <typename Number>
Number Share(Number whole, int thread, int threads) {
  const auto n = static_cast<Number>(thread), all = static_cast<Number>(threads);
  return whole / all + (n < whole % all ? 1 : 0);
}

LoadShare ShareOf(const LoadOptions& options, const Target& target, int thread,
                  LoadProgress* progress) {
  LoadShare share;
  const int threads = options.threads;
  if (options.pattern.rate > 0) {
    share.arrivals = std::make_unique<PoissonArrivals>(
        options.pattern.rate / threads, options.seed + static_cast<uint64_t>(thread));
  } else if (!target.arrivals.empty()) {
    share.arrivals = std::make_unique<GivenArrivals>(target.arrivals, static_cast<size_t>(thread),
                                                     static_cast<size_t>(threads));
  }
  share.in_flight = static_cast<uint32_t>(Share(InFlight(options), thread, threads));
  share.warm_up = options.pattern.warm_up;
  if (options.pattern.calls > 0) {
    share.calls = Share(options.pattern.calls, thread, threads);
  } else if (options.pattern.duration > absl::ZeroDuration()) {
    share.duration = options.pattern.duration;
  } else if (target.arrivals.empty()) {
    share.duration = kDuration;
  }
  share.requests = target.bodies.size();
  if (options.call.shuffle) share.shuffle_seed = options.seed + static_cast<uint64_t>(thread);
  share.check = target.check.get();
  share.progress = progress;
  if (target.check) share.id_prefix = fmt::format("{}-{}-", RandomId(), thread);
  return share;
}

std::unique_ptr<Caller> MakeCaller(const LoadOptions& options, const Target& target, int thread,
                                   net::Loop& loop, Caller::Owner& owner) {
  const int connections = Share(Connections(options), thread, options.threads);
  if (!IsRest(options)) {
    net::Channel::Options channel;
    channel.connections = connections;
    channel.tls = target.tls;
    return std::make_unique<GrpcCaller>(loop, target.address, channel, target.bodies,
                                        options.pattern.timeout, options.check, owner);
  }
  const std::string version =
      options.call.version.empty() ? "" : "/versions/" + options.call.version;
  return std::make_unique<RestCaller>(
      loop, target.address,
      net::ConnectionPool::Options{.http = options.call.http == 1 ? net::ConnectionPool::Http::k1
                                                                  : net::ConnectionPool::Http::k2,
                                   .connections = connections,
                                   .limits = {},
                                   .tls = target.tls},
      "/v2/models/" + options.call.model + version + "/infer", target.bodies,
      options.pattern.timeout, options.check, owner);
}

absl::Duration CpuUsed() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return absl::DurationFromTimeval(usage.ru_utime) + absl::DurationFromTimeval(usage.ru_stime);
}

// Shows a line a second on a terminal, until the threads are done or a signal
// asks them to be; another one ends the process.
class Display {
 public:
  explicit Display(LoadProgress* progress) : progress_(progress) {}

  void Watch(ShutdownSignal& signal, const std::vector<std::unique_ptr<LoadThread>>& threads) {
    const MonotonicClock clock;
    const Instant begin = clock.Now();
    Instant shown = begin;
    while (!done_.load()) {
      // Short, as nothing wakes a wait for signals when the threads are done.
      if (signal.WaitFor(absl::Milliseconds(20)) != 0) {
        for (const auto& thread : threads) thread->Stop();
        return;
      }
      const Instant now = clock.Now();
      if (!progress_ || now - shown < absl::Seconds(1)) continue;
      fmt::print(stderr, "\r\033[K{}", ProgressLine(now - begin, now - shown, progress_->Take()));
      std::fflush(stderr);
      shown = now;
    }
  }
  void Done() { done_.store(true); }
  void Clear() const {
    if (progress_) fmt::print(stderr, "\r\033[K");
  }

 private:
  LoadProgress* const progress_;
  std::atomic<bool> done_ = false;
};

// Many connections take more descriptors than shells allow at first.
void AllowAllFiles() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

LoadReport ReportOn(const LoadOptions& options, const Target& target) {
  LoadReport report;
  report.model = options.call.model;
  report.address = target.text;
  report.protocol = !IsRest(options)         ? "gRPC"
                    : options.call.http == 1 ? "REST over HTTP/1.1"
                                             : "REST over HTTP/2";
  report.open = IsOpen(options);
  report.rate = options.pattern.rate;
  report.concurrency = InFlight(options);
  report.connections = ByHttp1(options) ? 0 : Connections(options);
  report.threads = options.threads;
  report.expected = {options.expected.begin(), options.expected.end()};
  return report;
}

absl::StatusOr<LoadReport> Load(const LoadOptions& options, ShutdownSignal& signal) {
  ASSIGN_OR_RETURN(const Target target, Prepare(options));
  LoadProgress progress;
  LoadProgress* const shown = isatty(STDERR_FILENO) == 1 ? &progress : nullptr;
  std::vector<std::unique_ptr<LoadThread>> threads;
  for (int n = 0; n < options.threads; ++n) {
    ASSIGN_OR_RETURN(auto thread, LoadThread::Create(ShareOf(options, target, n, shown),
                                                     [&, n](net::Loop& loop, Caller::Owner& owner) {
                                                       return MakeCaller(options, target, n, loop,
                                                                         owner);
                                                     }));
    threads.push_back(std::move(thread));
  }
  const absl::Duration cpu = CpuUsed();
  for (const auto& thread : threads) thread->Start();
  Display display(shown);
  std::thread watcher([&] { display.Watch(signal, threads); });
  LoadReport report = ReportOn(options, target);
  for (const auto& thread : threads) {
    thread->Join();
    report.tally.Add(thread->tally());
  }
  display.Done();
  watcher.join();
  display.Clear();
  report.cpu = CpuUsed() - cpu;
  return report;
}

}  // namespace

int RunLoad(const LoadOptions& options) {
  if (const absl::Status status = CheckOptions(options); !status.ok()) {
    Fail(status);
    return kUsage;
  }
  ShutdownSignal signal;
  AllowAllFiles();
  const auto report = Load(options, signal);
  if (!report.ok()) return Fail(report.status());
  const std::string text = options.format == "json" ? ReportAsJson(*report) : ReportAsText(*report);
  std::fputs(text.c_str(), stdout);
  const LoadTally& tally = report->tally;
  return tally.failed(report->expected) == 0 && tally.not_begun == 0 && tally.ok > 0 ? kOk
                                                                                     : kFailed;
}

}  // namespace torchfleet::cli
