// torchfleet-gateway: the one address that callers need.

#include <string>

#include "base/log.h"
#include "base/process.h"
#include "base/shutdown.h"
#include "gateway/gateway_server.h"

namespace torchfleet::gateway {
namespace {

int Run(int argc, char** argv) {
  ShutdownSignal shutdown;
  ProcessOptions process{.role = "gateway"};
  GatewayOptions options;
  absl::Duration drain_timeout = absl::Seconds(10);

  CLI::App app(
      "Takes inference calls for every model of the fleet and forwards each to a worker that "
      "serves it.");
  AddProcessFlags(app, process);
  AddFlag(app, "--listen", options.listen,
          "host:port where calls come in; port 0 takes a free one");
  AddFlag(app, "--registry", options.registry,
          "host:port of the registry that knows which worker serves which model; or of several, "
          "with commas between");
  AddFlag(app, "--fleet-file", options.fleet_file,
          "Keep the fleet in this file, and start from it when no registry answers");
  app.add_flag("--model-control", options.model_control,
               "Callers may load and unload models, for everybody");
  AddFlag(app, "--worker", options.worker,
          "host:port of one worker that answers every call, in place of a registry");
  AddFlag(app, "--zone", options.zone,
          "Where it is, such as a rack; workers with the same --zone come first");
  AddFlag(app, "--threads", options.threads,
          "How many event loops share the calls; 0 for one a core");
  AddFlag(app, "--tls-certificate", options.tls.certificate,
          "PEM file with the certificate and its chain: calls come in by TLS; read again when it "
          "changes");
  AddFlag(app, "--tls-key", options.tls.key, "PEM file with the certificate's key");
  AddFlag(app, "--tls-client-ca", options.tls.client_ca,
          "PEM file with the authorities of client certificates, which are required then");
  AddFlag(app, "--allow-origin", options.allowed_origins,
          "Web pages that may call from a browser, as https://example.org, or * for all; those of "
          "this machine may");
  AddFlag(app, "--access-log", options.access_log.file,
          "File for a line of JSON for each call; - for standard output");
  AddFlag(app, "--access-log-share", options.access_log.share,
          "Of the calls that go well, the share that is logged: 0 to 1");
  AddDurationFlag(app, "--drain-timeout", drain_timeout,
                  "How long calls in progress may go on after SIGTERM");
  if (auto exit_code = ParseFlags(app, argc, argv)) return *exit_code;

  if (const absl::Status log = InitLog(process.role, process.log_format, process.log_level);
      !log.ok()) {
    LogError(std::string(log.message()));
    return 2;
  }
  options.operator_listen = process.operator_listen;
  auto gateway = GatewayServer::Start(options);
  if (!gateway.ok()) {
    LogError(std::string(gateway.status().message()));
    return absl::IsInvalidArgument(gateway.status()) ? 2 : 1;
  }
  LogInfo("gateway is listening",
          {{"address", (*gateway)->address()}, {"operators", (*gateway)->operator_address()}});
  AnnounceReady(process, {.address = (*gateway)->address(),
                          .operator_address = (*gateway)->operator_address()});
  shutdown.Wait();
  LogInfo("draining", {{"timeout", absl::FormatDuration(drain_timeout)}});
  (*gateway)->Drain(drain_timeout);
  return 0;
}

}  // namespace
}  // namespace torchfleet::gateway

int main(int argc, char** argv) { return torchfleet::gateway::Run(argc, argv); }
