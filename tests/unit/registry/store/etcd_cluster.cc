#include "tests/unit/registry/store/etcd_cluster.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>
#include <utility>
#include <vector>

namespace torchfleet::registry {
namespace {

// Free now; whoever takes it before etcd does makes it start anew elsewhere.
int FreePort() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (bind(socket, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no free port");
  }
  close(socket);
  return ntohs(address.sin_port);
}

std::string Url(int port) { return fmt::format("http://127.0.0.1:{}", port); }

pid_t Spawn(std::vector<std::string> words, const std::string& log) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(file, STDOUT_FILENO);
  dup2(file, STDERR_FILENO);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

}  // namespace

EtcdCluster::EtcdCluster(size_t members, std::vector<std::string> flags)
    : flags_(std::move(flags)) {
  constexpr int kTries = 5;
  for (int i = 0; i < kTries; ++i) {
    if (StartAll(members)) return;
  }
  throw std::runtime_error(
      "etcd did not start; expected the command etcd, which deploy/setup.sh test installs");
}

EtcdCluster::~EtcdCluster() {
  for (size_t i = 0; i < members_.size(); ++i) Kill(i);
}

bool EtcdCluster::StartAll(size_t count) {
  for (size_t i = 0; i < members_.size(); ++i) {
    Kill(i);
    std::filesystem::remove_all(folder_.path() / std::to_string(i));
  }
  members_.clear();
  for (size_t i = 0; i < count; ++i) {
    members_.push_back({.client_port = FreePort(), .peer_port = FreePort()});
  }
  for (size_t i = 0; i < count; ++i) Start(i);
  for (size_t i = 0; i < count; ++i) {
    if (!WaitServing(i)) return false;
  }
  return true;
}

void EtcdCluster::Start(size_t member) {
  std::string cluster;
  for (size_t i = 0; i < members_.size(); ++i) {
    cluster += fmt::format("{}{}={}", i == 0 ? "" : ",", i, Url(members_[i].peer_port));
  }
  Member& started = members_[member];
  const std::string name = std::to_string(member);
  const std::string client = Url(started.client_port);
  const std::string peer = Url(started.peer_port);
  std::vector<std::string> words = {"etcd",
                                    "--name",
                                    name,
                                    "--data-dir",
                                    (folder_.path() / name).string(),
                                    "--listen-client-urls",
                                    client,
                                    "--advertise-client-urls",
                                    client,
                                    "--listen-peer-urls",
                                    peer,
                                    "--initial-advertise-peer-urls",
                                    peer,
                                    "--initial-cluster",
                                    cluster,
                                    "--heartbeat-interval",
                                    "50",
                                    "--election-timeout",
                                    "500",
                                    "--logger",
                                    "zap"};
  words.insert(words.end(), flags_.begin(), flags_.end());
  started.process = Spawn(std::move(words), (folder_.path() / (name + ".log")).string());
}

void EtcdCluster::Kill(size_t member) {
  if (members_[member].process <= 0) return;
  kill(members_[member].process, SIGKILL);
  waitpid(members_[member].process, nullptr, 0);
  members_[member].process = -1;
}

void EtcdCluster::Freeze(size_t member) {
  kill(members_[member].process, SIGSTOP);
  siginfo_t stopped;
  waitid(P_PID, static_cast<id_t>(members_[member].process), &stopped, WSTOPPED);
}

void EtcdCluster::Thaw(size_t member) { kill(members_[member].process, SIGCONT); }

bool EtcdCluster::WaitServing(size_t member) {
  const auto keys = Keys(member);
  // A member without a leader answers with an error; one that has ended never.
  while (waitpid(members_[member].process, nullptr, WNOHANG) == 0) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(1));
    context.set_wait_for_ready(true);
    etcdserverpb::RangeRequest request;
    request.set_key("/");
    etcdserverpb::RangeResponse response;
    if (keys->Range(&context, request, &response).ok()) return true;
  }
  members_[member].process = -1;
  return false;
}

EtcdAddress EtcdCluster::Address(const std::string& prefix) const {
  EtcdAddress address{.members = {}, .prefix = prefix};
  for (const Member& member : members_) {
    address.members.push_back(fmt::format("127.0.0.1:{}", member.client_port));
  }
  return address;
}

std::unique_ptr<etcdserverpb::KV::Stub> EtcdCluster::Keys(size_t member) const {
  return etcdserverpb::KV::NewStub(
      grpc::CreateChannel(fmt::format("127.0.0.1:{}", members_[member].client_port),
                          grpc::InsecureChannelCredentials()));
}

}  // namespace torchfleet::registry
