// Workers and watchers by the thousand for one registry, and the same of an etcd
// server beside it: a process, a connection each.
//
//   torchfleet-bench-registry-peers workers HOST:PORT COUNT RENEWALS CHANGES
//       COUNT workers register; so many renewals a second go round them, and so
//       many of these with another load than before; below zero: another state
//   … watchers HOST:PORT COUNT            watch the fleet
//   … snapshots HOST:PORT COUNT           one after another; milliseconds to each
//   … puts HOST:PORT KEYS PUTS            etcd: so many a second, a key after
//                                         another, each as large as a condition
//   … etcd-watchers HOST:PORT COUNT       etcd: watch these keys
//
// Prints "ready" when all are there, and for each line on standard input one of
// JSON with what was counted since the beginning; ends with its input.

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "etcd/rpc.pb.h"
#include "net/client/channel.h"
#include "torchfleet/registry/v1/registry.pb.h"

namespace torchfleet {
namespace {

namespace v1 = registry::v1;

// So many connections are made at a time.
constexpr size_t kAtOnce = 50;
constexpr absl::Duration kTick = absl::Milliseconds(2);

struct Counts {
  uint64_t sent = 0, answered = 0, messages = 0, changes = 0, bytes = 0, failed = 0;
};

class Peers {
 public:
  Peers(net::Loop& loop, net::Address address, size_t count)
      : loop_(loop), address_(std::move(address)), count_(count) {}
  virtual ~Peers() = default;

  // Begins the first ones; OneIsReady begins the others.
  void Begin() {
    while (begun_ < std::min(kAtOnce, count_)) BeginOne(begun_++);
  }

  Counts counts;

 protected:
  virtual void BeginOne(size_t number) = 0;
  virtual void AllAreReady() {}

  void OneIsReady() {
    if (begun_ < count_) BeginOne(begun_++);
    if (++ready_ != count_) return;
    std::puts("ready");
    std::fflush(stdout);
    AllAreReady();
  }
  std::unique_ptr<net::Channel> Connect() {
    net::Channel::Options options;
    options.message_bytes = 256 << 20;
    return std::make_unique<net::Channel>(loop_, address_, options);
  }
  void Failed(const char* what, const net::GrpcOutcome& outcome) {
    ++counts.failed;
    std::fprintf(stderr, "%s ended: %s\n", what, outcome.status.message.c_str());
  }

  net::Loop& loop_;
  const net::Address address_;
  const size_t count_;

 private:
  size_t begun_ = 0, ready_ = 0;
};

// So many times a second, evenly.
class Pace {
 public:
  Pace(net::Loop& loop, double rate, std::function<void()> act)
      : loop_(loop), rate_(rate), act_(std::move(act)), timer_(loop, [this] { Tick(); }) {}
  void Begin() {
    began_ = MonotonicClock().Now();
    timer_.Start(kTick);
  }

 private:
  void Tick() {
    const double due = absl::ToDoubleSeconds(loop_.now() - began_) * rate_;
    for (; static_cast<double>(done_) < due; ++done_) act_();
    timer_.Start(kTick);
  }

  net::Loop& loop_;
  const double rate_;
  const std::function<void()> act_;
  Instant began_;
  uint64_t done_ = 0;
  net::Timer timer_;
};

class Workers : public Peers {
 public:
  Workers(net::Loop& loop, net::Address address, size_t count, double renewals, double changes)
      : Peers(loop, std::move(address), count),
        change_share_(renewals > 0 ? std::abs(changes) / renewals : 0),
        states_change_(changes < 0),
        pace_(loop, renewals, [this] { RenewNext(); }) {
    pace_.Begin();
  }

 private:
  struct Worker : net::GrpcClientHandler {
    Worker(Workers& owning, size_t n) : workers(owning), number(n) {}
    void OnMessage(net::GrpcClientCall&, const net::Slice& message) override {
      v1::AnnounceResponse response;
      response.ParseFromArray(message.bytes().data(), static_cast<int>(message.size()));
      if (response.has_registered()) {
        epoch = response.registered().epoch();
        workers.registered_.push_back(this);
        workers.OneIsReady();
      } else {
        ++workers.counts.answered;
        waits = false;
      }
    }
    void OnDone(net::GrpcClientCall&, const net::GrpcOutcome& outcome) override {
      call = nullptr;
      workers.Failed("a worker's stream", outcome);
    }
    Workers& workers;
    const size_t number;
    std::unique_ptr<net::Channel> channel;
    net::GrpcClientCall* call = nullptr;
    uint64_t epoch = 0;
    uint32_t queued = 0;
    uint32_t turns = 0;
    bool waits = false;
  };

  void BeginOne(size_t number) override {
    workers_.push_back(std::make_unique<Worker>(*this, number));
    Worker& worker = *workers_.back();
    worker.channel = Connect();
    worker.call = &worker.channel->Call("/torchfleet.registry.v1.RegistryService/Announce", nullptr,
                                        absl::InfiniteDuration(), worker);
    v1::AnnounceRequest request;
    auto* self = request.mutable_register_()->mutable_worker();
    self->set_worker_id("worker-" + std::to_string(number) + "/1.0");
    self->set_address("10.0." + std::to_string(number / 250) + "." + std::to_string(number % 250) +
                      ":9000");
    self->set_model("model-" + std::to_string(number / 100));
    self->set_version("1");
    self->set_platform("pytorch_libtorch");
    for (auto [tensors, name] : {std::pair(self->mutable_inputs(), "INPUT__0"),
                                 std::pair(self->mutable_outputs(), "OUTPUT__0")}) {
      auto* tensor = tensors->Add();
      tensor->set_name(name);
      tensor->set_datatype("FP32");
      tensor->add_shape(-1);
      tensor->add_shape(784);
    }
    self->set_operator_address("127.0.0.1:9100");
    self->set_pid(static_cast<int64_t>(number) + 1000);
    request.mutable_register_()->set_state(v1::WORKER_STATE_READY);
    worker.call->Send(request.SerializeAsString());
  }
  void RenewNext() {
    if (registered_.empty()) return;
    next_ = next_ + 1 < registered_.size() ? next_ + 1 : 0;
    Worker& worker = *registered_[next_];
    // One that has not been answered is not asked again.
    if (!worker.call || worker.waits) return;
    changes_due_ += change_share_;
    if (changes_due_ >= 1) {
      changes_due_ -= 1;
      ++(states_change_ ? worker.turns : worker.queued);
      ++counts.changes;
    }
    v1::AnnounceRequest request;
    request.mutable_renew()->set_epoch(worker.epoch);
    request.mutable_renew()->set_state(worker.turns % 2 ? v1::WORKER_STATE_DRAINING
                                                        : v1::WORKER_STATE_READY);
    request.mutable_renew()->mutable_load()->set_queued(worker.queued);
    worker.call->Send(request.SerializeAsString());
    worker.waits = true;
    ++counts.sent;
  }

  const double change_share_;
  const bool states_change_;
  double changes_due_ = 0;
  std::vector<std::unique_ptr<Worker>> workers_;
  // Leases run from here on, whoever else has still to come.
  std::vector<Worker*> registered_;
  size_t next_ = 0;
  Pace pace_;
};

class Watchers : public Peers {
 public:
  Watchers(net::Loop& loop, net::Address address, size_t count, bool etcd)
      : Peers(loop, std::move(address), count), etcd_(etcd) {}

 private:
  struct Watcher : net::GrpcClientHandler {
    explicit Watcher(Watchers& owning) : watchers(owning) {}
    void OnMessage(net::GrpcClientCall&, const net::Slice& message) override {
      if (!std::exchange(begun, true)) return watchers.OneIsReady();
      Counts& counts = watchers.counts;
      ++counts.messages;
      counts.bytes += message.size();
      const int size = static_cast<int>(message.size());
      if (watchers.etcd_) {
        watchers.etcd_response_.ParseFromArray(message.bytes().data(), size);
        counts.changes += static_cast<uint64_t>(watchers.etcd_response_.events_size());
        return;
      }
      watchers.response_.ParseFromArray(message.bytes().data(), size);
      const auto& delta = watchers.response_.delta();
      counts.changes += static_cast<uint64_t>(delta.conditions_size() + delta.updated_size() +
                                              delta.removed_size());
    }
    void OnDone(net::GrpcClientCall&, const net::GrpcOutcome& outcome) override {
      watchers.Failed("a watcher's stream", outcome);
    }
    Watchers& watchers;
    std::unique_ptr<net::Channel> channel;
    bool begun = false;
  };

  void BeginOne(size_t) override {
    watchers_.push_back(std::make_unique<Watcher>(*this));
    Watcher& watcher = *watchers_.back();
    watcher.channel = Connect();
    if (!etcd_) {
      auto& call = watcher.channel->Call("/torchfleet.registry.v1.RegistryService/Watch", nullptr,
                                         absl::InfiniteDuration(), watcher);
      call.Send(std::string_view());
      call.HalfClose();
      return;
    }
    etcdserverpb::WatchRequest request;
    request.mutable_create_request()->set_key("bench/");
    request.mutable_create_request()->set_range_end("bench0");
    watcher.channel->Call("/etcdserverpb.Watch/Watch", nullptr, absl::InfiniteDuration(), watcher)
        .Send(request.SerializeAsString());
  }

  const bool etcd_;
  v1::WatchResponse response_;
  etcdserverpb::WatchResponse etcd_response_;
  std::vector<std::unique_ptr<Watcher>> watchers_;
};

// New watchers one after another, each until its snapshot is there.
class Snapshots : public Peers, private net::GrpcClientHandler {
 public:
  Snapshots(net::Loop& loop, net::Address address, size_t count)
      : Peers(loop, std::move(address), 1), left_(count), next_(loop, [this] { BeginOne(0); }) {}

 private:
  void BeginOne(size_t) override {
    channel_ = Connect();
    began_ = MonotonicClock().Now();
    call_ = &channel_->Call("/torchfleet.registry.v1.RegistryService/Watch", nullptr,
                            absl::InfiniteDuration(), *this);
    call_->Send(std::string_view());
    call_->HalfClose();
    come_ = false;
  }
  void OnMessage(net::GrpcClientCall&, const net::Slice& message) override {
    if (std::exchange(come_, true)) return;
    std::printf("%.3f %zu\n", absl::ToDoubleMilliseconds(MonotonicClock().Now() - began_),
                message.size());
    call_->Cancel();
  }
  void OnDone(net::GrpcClientCall&, const net::GrpcOutcome&) override {
    if (--left_ == 0) return OneIsReady();
    next_.Start(absl::Milliseconds(20));
  }

  size_t left_;
  net::Timer next_;
  std::unique_ptr<net::Channel> channel_;
  net::GrpcClientCall* call_ = nullptr;
  Instant began_;
  bool come_ = false;
};

class Puts : public Peers, private net::GrpcClientHandler {
 public:
  Puts(net::Loop& loop, net::Address address, size_t keys, double rate)
      : Peers(loop, std::move(address), 1),
        keys_(keys),
        channel_(Connect()),
        pace_(loop, rate, [this] { PutNext(); }) {}

 private:
  void BeginOne(size_t) override { OneIsReady(); }
  void AllAreReady() override { pace_.Begin(); }
  void PutNext() {
    v1::WatchResponse::Condition condition;
    const uint64_t key = counts.sent++ % keys_;
    condition.set_worker_id("worker-" + std::to_string(key) + "/1.0");
    condition.set_state(v1::WORKER_STATE_READY);
    condition.mutable_load()->set_queued(static_cast<uint32_t>(counts.sent));
    etcdserverpb::PutRequest request;
    request.set_key("bench/" + condition.worker_id());
    request.set_value(condition.SerializeAsString());
    auto& call = channel_->Call("/etcdserverpb.KV/Put", nullptr, absl::Seconds(30), *this);
    call.Send(request.SerializeAsString());
    call.HalfClose();
  }
  void OnDone(net::GrpcClientCall&, const net::GrpcOutcome& outcome) override {
    if (!outcome.status.ok()) return Failed("a put", outcome);
    ++counts.answered;
    ++counts.changes;
  }

  const size_t keys_;
  const std::unique_ptr<net::Channel> channel_;
  Pace pace_;
};

// A line asks for the counts, the end of the input ends the process.
class Input : public net::Watcher {
 public:
  Input(net::Loop& loop, const Counts& counts) : loop_(loop), counts_(counts) {
    loop_.Watch(0, EPOLLIN, this);
  }
  void OnEvents(uint32_t) override {
    char line[64];
    // Ends at once: there is no state that would have to be put in order.
    if (std::fgets(line, sizeof line, stdin) == nullptr) std::_Exit(0);
    std::printf(
        "{\"sent\":%lu,\"answered\":%lu,\"messages\":%lu,\"changes\":%lu,\"bytes\":%lu,"
        "\"failed\":%lu}\n",
        counts_.sent, counts_.answered, counts_.messages, counts_.changes, counts_.bytes,
        counts_.failed);
    std::fflush(stdout);
  }

 private:
  net::Loop& loop_;
  const Counts& counts_;
};

std::unique_ptr<Peers> PeersOf(const std::string& kind, net::Loop& loop,
                               const net::Address& address, size_t count, double rate,
                               double changes) {
  if (kind == "workers") return std::make_unique<Workers>(loop, address, count, rate, changes);
  if (kind == "watchers") return std::make_unique<Watchers>(loop, address, count, false);
  if (kind == "etcd-watchers") return std::make_unique<Watchers>(loop, address, count, true);
  if (kind == "snapshots") return std::make_unique<Snapshots>(loop, address, count);
  if (kind == "puts") return std::make_unique<Puts>(loop, address, count, rate);
  return nullptr;
}

int Run(int argc, char** argv) {
  const auto number = [&](int at) { return argc > at ? std::atof(argv[at]) : 0; };
  const auto loop = net::Loop::Create();
  const auto address = net::ParseAddress(argc > 2 ? argv[2] : "");
  if (!loop.ok() || !address.ok()) return std::fprintf(stderr, "no such address\n"), 2;
  const auto peers =
      PeersOf(argv[1], **loop, *address, static_cast<size_t>(number(3)), number(4), number(5));
  if (!peers) return std::fprintf(stderr, "no such peers\n"), 2;
  std::setvbuf(stdin, nullptr, _IONBF, 0);
  Input input(**loop, peers->counts);
  peers->Begin();
  (*loop)->Run();
  return 0;
}

}  // namespace
}  // namespace torchfleet

int main(int argc, char** argv) { return torchfleet::Run(argc, argv); }
