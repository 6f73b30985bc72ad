#pragma once
// A real etcd, of one member or several, in a temporary folder.
//
// Lifecycle: runs from construction to destruction, whatever happens to this
// process.

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "etcd/rpc.grpc.pb.h"
#include "registry/store/etcd_address.h"
#include "tests/fakes/temporary_folder.h"

namespace torchfleet::registry {

class EtcdCluster {
 public:
  // `flags` besides those that say who and where the members are.
  explicit EtcdCluster(size_t members = 1, std::vector<std::string> flags = {});
  ~EtcdCluster();

  // For a store with keys of its own. `prefix` is any word.
  EtcdAddress Address(const std::string& prefix) const;

  // SIGKILL; the member's data stays.
  void Kill(size_t member);
  void Start(size_t member);
  // SIGSTOP and SIGCONT.
  void Freeze(size_t member);
  void Thaw(size_t member);

  std::unique_ptr<etcdserverpb::KV::Stub> Keys(size_t member = 0) const;

 private:
  struct Member {
    int client_port = 0;
    int peer_port = 0;
    pid_t process = -1;
  };
  bool StartAll(size_t count);
  // Answers reads, which take a leader.
  bool WaitServing(size_t member);

  const std::vector<std::string> flags_;
  TemporaryFolder folder_;
  std::vector<Member> members_;
};

}  // namespace torchfleet::registry
