#pragma once
// One load or unload on its way; see ModelControl.
//
// Lifecycle: Start once; deletes itself when gRPC is done with it. A step begins
// when the one before it has been answered, so no two run at once.

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gateway/edge/model_control.h"
#include "torchfleet/registry/v1/catalogue.grpc.pb.h"
#include "torchfleet/registry/v1/registry.grpc.pb.h"

namespace torchfleet::gateway {

class ModelControlCall final : public grpc::ServerUnaryReactor {
 public:
  enum class Wish { kLoad, kUnload };

  ModelControlCall(ModelControl& control, grpc::CallbackServerContext& context, Wish wish,
                   std::string model);

  void Start() { Look(); }
  void OnCancel() override;
  void OnDone() override { delete this; }

 private:
  // A question to the registry or to a worker.
  struct Question;

  void Look();
  void OnLooked(const absl::Status& status);
  void Write();
  void OnWritten(const absl::Status& status);
  void Carry();
  void Reload(const std::vector<std::string>& workers);
  void OnReloaded(const grpc::Status& status);
  void Drain();
  void OnDrained(const absl::Status& status);
  void Await();
  // OK when what was wished has come about, UNAVAILABLE while it has not.
  absl::Status Outcome() const;
  void End(const absl::Status& status);

  bool known_to_workers() const;
  std::vector<std::string> ReadyWorkers() const;
  std::shared_ptr<Question> NewQuestion(absl::Time limit);
  // Asks a registry; UNAVAILABLE is told to the channel.
  template <typename Request, typename Response, typename Ask, typename Then>
  void AskRegistry(Ask ask, const Request& request, Response& response, Then then);

  ModelControl& control_;
  grpc::CallbackServerContext& context_;
  const Wish wish_;
  const std::string model_;
  const absl::Time limit_;
  // Registrations that had failed when the call began.
  std::set<uint64_t> failed_before_;
  int writes_ = 0;
  registry::v1::GetModelResponse known_;
  registry::v1::UpdateModelResponse written_;
  registry::v1::DrainResponse drained_;
  std::mutex mu_;
  // Under way.
  std::vector<std::shared_ptr<Question>> questions_ ABSL_GUARDED_BY(mu_);
  size_t open_ ABSL_GUARDED_BY(mu_) = 0;
  grpc::Status first_error_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<grpc::Alarm> alarm_;
};

}  // namespace torchfleet::gateway
