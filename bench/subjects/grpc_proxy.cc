// torchfleet-bench-grpc-proxy HOST:PORT: the proxy one would write first, on gRPC
// C++'s generic callback service and stub. Forwards unary calls to HOST:PORT;
// prints its own address on a line.

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <memory>

namespace {

using Stub = grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer>;

class Forwarded final : public grpc::ServerGenericBidiReactor {
 public:
  Forwarded(grpc::GenericCallbackServerContext& caller, Stub& stub) : caller_(caller), stub_(stub) {
    StartRead(&request_);
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return Finish({grpc::StatusCode::INVALID_ARGUMENT, "a call without a message"});
    server_ = grpc::ClientContext::FromCallbackServerContext(caller_);
    stub_.UnaryCall(server_.get(), caller_.method(), {}, &request_, &answer_,
                    [this](const grpc::Status& status) {
                      if (!status.ok()) return Finish(status);
                      StartWriteAndFinish(&answer_, {}, status);
                    });
  }
  void OnDone() override { delete this; }

  grpc::GenericCallbackServerContext& caller_;
  Stub& stub_;
  std::unique_ptr<grpc::ClientContext> server_;
  grpc::ByteBuffer request_, answer_;
};

class Proxy final : public grpc::CallbackGenericService {
 public:
  explicit Proxy(Stub& stub) : stub_(stub) {}

 private:
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* caller) override {
    return new Forwarded(*caller, stub_);
  }

  Stub& stub_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "got %d arguments; expected HOST:PORT of the server behind\n", argc - 1);
    return 2;
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  Stub stub(grpc::CreateCustomChannel(argv[1], grpc::InsecureChannelCredentials(), arguments));
  Proxy proxy(stub);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterCallbackGenericService(&proxy);
  builder.SetMaxReceiveMessageSize(-1);
  const auto server = builder.BuildAndStart();
  if (!server) return 1;
  std::printf("127.0.0.1:%d\n", port);
  std::fflush(stdout);
  server->Wait();
}
