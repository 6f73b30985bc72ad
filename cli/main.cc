// torchfleet: the command line.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/process.h"
#include "base/version.h"
#include "cli/catalogue/model_command.h"
#include "cli/catalogue/route_command.h"
#include "cli/completion/completion.h"
#include "cli/drain/drain_command.h"
#include "cli/exit_codes.h"
#include "cli/infer/infer_command.h"
#include "cli/load/load_command.h"
#include "cli/quarantine/quarantine_command.h"
#include "cli/quarantine/quarantine_text.h"
#include "cli/sibling.h"
#include "cli/status/status_command.h"
#include "cli/up/up_command.h"

namespace torchfleet::cli {
namespace {

constexpr char kDescription[] =
    "Models as a service: train a model, serve it, call it.\n\n"
    "  torchfleet train examples/mnist/mnist.textproto   a model into ./models\n"
    "  torchfleet up                                     serve every model in ./models\n"
    "  torchfleet infer mnist --image digit.png          call one\n"
    "  torchfleet load mnist --concurrency 32            call one as often as it goes\n"
    "  torchfleet status                                 see the fleet\n"
    "  torchfleet model list                             the catalogue\n"
    "  torchfleet route split mnist 3=90 4=10            a tenth of the calls to version 4\n"
    "  torchfleet drain mnist                            let its workers finish and go\n"
    "  torchfleet quarantine                             requests that killed workers";

constexpr char kExitCodes[] =
    "Exit codes: 0 done, 1 the call failed or something is not ready, 2 wrong usage,\n"
    "3 nobody answers. NO_COLOR turns colours off. Every flag has an environment\n"
    "variable: --log-format is TORCHFLEET_LOG_FORMAT.";

struct TrainOptions {
  std::string spec;
  std::string repository = "./models";
  bool resume = false;
};

struct MigrateOptions {
  std::string from;
  std::string to;
  bool force = false;
};

void AddUp(CLI::App& app, UpOptions& options) {
  auto* up = app.add_subcommand(
      "up", "Serve every model of a repository: registry, gateway and a worker for each");
  AddFlag(*up, "--repository", options.repository, "The model repository");
  AddFlag(*up, "--listen", options.listen, "host:port for callers; port 0 takes a free one");
  up->add_option("--replicas", options.replicas, "MODEL=N: so many workers for that model");
  AddFlag(*up, "--store", options.store,
          "Where the registry keeps its catalogue: memory, sqlite:PATH or etcd:HOST:PORT;\n"
          "sqlite:REPOSITORY/.torchfleet/registry.db by default");
  AddFlag(*up, "--worker-binary", options.worker_binary,
          "The worker's binary, beside this one or as a path");
  AddDurationFlag(*up, "--scale-in-after", options.scale_in_after,
                  "How long fewer workers must have been enough before one goes, where the "
                  "catalogue sets max_replicas");
  AddFlag(*up, "--log-format", options.log_format, "Logs as text, or as one JSON object a line")
      ->check(CLI::IsMember({"text", "json"}));
  AddFlag(*up, "--log-level", options.log_level, "The least severe level that is logged")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
}

void AddTrain(CLI::App& app, TrainOptions& options) {
  auto* train = app.add_subcommand("train", "Train a model from a spec and publish it");
  train->add_option("spec", options.spec, "The training spec")->required();
  AddFlag(*train, "--repository", options.repository, "The model repository to publish into");
  train->add_flag("--resume", options.resume, "Go on from the checkpoint that Ctrl-C left");
}

void AddInfer(CLI::App& app, InferOptions& options) {
  auto* infer =
      app.add_subcommand("infer",
                         "Call a model once\n\n"
                         "  torchfleet infer mnist --image digit.png\n"
                         "  torchfleet infer mnist --input input=@row.npy\n"
                         "  torchfleet infer adder --input a='[1,2]' --input b='[3,4]' -o json");
  infer->add_option("model", options.model, "The model's name")->required();
  infer->add_option("--model-version", options.version, "A version; the highest ready by default");
  // CLI11 takes [1,2] for its own list unless extra arguments are off.
  infer
      ->add_option("--input", options.inputs,
                   "NAME=JSON, NAME=@FILE.npy or NAME=@FILE.json; NAME= can be left out when the "
                   "model has one input")
      ->allow_extra_args(false);
  infer->add_option("--image", options.image, "A PNG file for a model with one input");
  infer->add_option("--output", options.outputs, "An output wanted; all by default");
  infer->add_option("-o", options.format, "table, or json for programs")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  AddFlag(*infer, "--gateway", options.gateway, "host:port; the fleet that runs here by default");
  AddFlag(*infer, "--tls-ca", options.tls_ca,
          "Call by TLS; a PEM file with who may have signed the gateway's certificate");
  AddDurationFlag(*infer, "--timeout", options.timeout, "How long to wait for the answer");
}

// What is called, with what.
void AddLoadCall(CLI::App& load, LoadCallOptions& options) {
  load.add_option("model", options.model, "The model's name")->required();
  load.add_option("--model-version", options.version, "A version; the highest ready by default");
  load.add_option("--input", options.inputs,
                  "As of torchfleet infer; more than once: its values take turns. None: made from "
                  "the model's metadata")
      ->allow_extra_args(false);
  load.add_option("--requests", options.requests,
                  "A file with a request a line, each a JSON object of its inputs by name; they "
                  "take turns");
  load.add_flag("--shuffle", options.shuffle,
                "Requests in random order, each once before one comes again");
  load.add_option("--batch", options.batch,
                  "Rows of a call: data that is given is cut into so many")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));
  AddFlag(load, "--gateway", options.gateway,
          "host:port of a gateway or a worker; the fleet that runs here by default");
  AddFlag(load, "--tls-ca", options.tls_ca,
          "Call by TLS; a PEM file with who may have signed the gateway's certificate");
  AddFlag(load, "--protocol", options.protocol, "grpc, or rest for /v2/models/MODEL/infer in JSON")
      ->check(CLI::IsMember({"grpc", "rest"}));
  AddFlag(load, "--http", options.http, "With --protocol rest: HTTP/1.1, or HTTP/2")
      ->check(CLI::IsMember({1, 2}));
}

// When calls begin, and how many.
void AddLoadPattern(CLI::App& load, LoadPatternOptions& options) {
  const CLI::Range many(1, 1000000);
  AddFlag(load, "--concurrency", options.concurrency,
          "Closed loop: so many calls in flight, each followed by another")
      ->check(many);
  load.add_option("--rate", options.rate,
                  "Open loop: so many calls a second, as a Poisson process, whatever becomes of "
                  "those before")
      ->check(CLI::Range(1e-3, 1e7));
  load.add_option("--arrivals", options.arrivals,
                  "Open loop: a file with the second at which each call begins, one a line, "
                  "counted from the start, warm-up and all");
  AddFlag(load, "--max-in-flight", options.max_in_flight,
          "Open loop: over it, calls are not sent, and the report says how many")
      ->check(many);
  AddDurationFlag(load, "--warm-up", options.warm_up, "Calls that begin sooner do not count");
  AddDurationFlag(load, "--duration", options.duration,
                  "Of what counts, after the warm-up; 0 for 10s, or to the end of --arrivals");
  load.add_option("--calls", options.calls, "So many calls that count, instead of a duration");
  AddDurationFlag(load, "--timeout", options.timeout, "Of each call");
}

void AddLoad(CLI::App& app, LoadOptions& options) {
  auto* load = app.add_subcommand(
      "load",
      "Call a model again and again, and tell how long it took\n\n"
      "  torchfleet load mnist --concurrency 32 --connections 4\n"
      "  torchfleet load mnist --rate 5000 --duration 1m      latency as callers see it\n"
      "  torchfleet load mnist --input input=@digits.npy --batch 1 --check");
  AddLoadCall(*load, options.call);
  AddLoadPattern(*load, options.pattern);
  AddFlag(*load, "--connections", options.connections,
          "Connections of gRPC and HTTP/2; one a thread by default")
      ->check(CLI::Range(0, 100000));
  AddFlag(*load, "--threads", options.threads, "Threads that make the calls")
      ->check(CLI::Range(1, 256));
  load->add_flag("--check", options.check,
                 "Answers must be to this very call, and as others to the same request");
  load->add_option("--expect", options.expected,
                   "A code that calls may end with besides OK, such as DEADLINE_EXCEEDED; more "
                   "than once for several")
      ->allow_extra_args(false);
  AddFlag(*load, "--seed", options.seed, "Of made inputs, of arrivals and of --shuffle");
  load->add_option("-o", options.format, "table, or json for programs")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
}

constexpr char kOperatorsHelp[] =
    "Operators' ports of gateways, host:port with commas between; those of the fleet that runs "
    "here by default";

void AddStatus(CLI::App& app, StatusOptions& options) {
  auto* status = app.add_subcommand(
      "status",
      "Models, versions, workers, state and load\n\n"
      "LOAD 1/4 +2: one of four at once runs, two wait. Where gateways are heard, what they\n"
      "counted too: latencies are of the last ten seconds, the rest since they began; with\n"
      "--watch calls a second.");
  status->add_option("-o", options.format, "table, or json for programs")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  AddFlag(*status, "--registry", options.registry,
          "host:port, or several with commas between; the fleet that runs here by default");
  AddFlag(*status, "--operators", options.operators, kOperatorsHelp);
  AddDurationFlag(*status, "--timeout", options.timeout,
                  "How long to wait for the registry and for gateways");
  status->add_flag("--watch", options.watch,
                   "Anew whenever something changes and each second, until Ctrl-C");
}

void AddQuarantine(CLI::App& app, QuarantineOptions& options) {
  auto* quarantine = app.add_subcommand(
      "quarantine",
      "Requests that killed two workers and are not sent again\n\n"
      "  torchfleet quarantine                             what is in it\n"
      "  torchfleet quarantine release 00c0ffee00c0ffee    send such requests again");
  quarantine->add_option("-o", options.format, "table, or json for programs")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  auto* release =
      quarantine->add_subcommand("release", "Let a request out, when its model is mended");
  release
      ->add_option("fingerprint", options.release,
                   "Of the request, as torchfleet quarantine shows it")
      ->required()
      ->check([](const std::string& text) {
        return IsFingerprint(text) ? ""
                                   : "'" + text + "' is no fingerprint of 16 hexadecimal digits";
      });
  for (CLI::App* command : {quarantine, release}) {
    AddFlag(*command, "--operators", options.operators, kOperatorsHelp);
    AddDurationFlag(*command, "--timeout", options.timeout, "How long to wait for gateways");
  }
}

void AddDrain(CLI::App& app, DrainOptions& options) {
  auto* drain = app.add_subcommand(
      "drain",
      "Let a worker, or all workers of a model, finish what they have and go\n\n"
      "  torchfleet drain mnist-1-0            a worker, by its name in torchfleet status\n"
      "  torchfleet drain mnist --wait         all of a model, until they are gone");
  drain->add_option("name", options.name, "A worker; else a model")->required();
  drain->add_flag("--wait", options.wait, "Until they are gone, showing how far they are");
  AddFlag(*drain, "--registry", options.registry,
          "host:port, or several with commas between; the fleet that runs here by default");
  AddDurationFlag(*drain, "--timeout", options.timeout,
                  "How long to wait for the registry, and with --wait for the workers");
}

void AddMigrate(CLI::App& app, MigrateOptions& options) {
  auto* migrate = app.add_subcommand(
      "migrate",
      "Copy the registry's catalogue with its audit trail from one store to another\n\n"
      "  torchfleet migrate --from sqlite:registry.db --to etcd:10.0.0.1:2379,10.0.0.2:2379");
  migrate->add_option("--from", options.from, "The store to read: sqlite:PATH or etcd:HOST:PORT")
      ->required();
  migrate->add_option("--to", options.to, "The store to write")->required();
  migrate->add_flag("--force", options.force, "Replace what the target holds");
}

// Becomes the binary beside this one: its signals, terminal and exit code are
// this process's.
int Become(const std::string& name, std::vector<std::string> words) {
  const std::string binary = SiblingPath(name).string();
  words.insert(words.begin(), binary);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execv(binary.c_str(), arguments.data());
  return Fail(absl::NotFoundError(
      fmt::format("{} cannot be run: {}; build it with make", binary, std::strerror(errno))));
}

int RunTrain(const TrainOptions& options) {
  std::vector<std::string> words = {options.spec, "--repository", options.repository};
  if (options.resume) words.push_back("--resume");
  return Become("torchfleet-trainer", std::move(words));
}

int RunMigrate(const MigrateOptions& options) {
  std::vector<std::string> words = {"migrate", "--from", options.from, "--to", options.to};
  if (options.force) words.push_back("--force");
  return Become("torchfleet-registry", std::move(words));
}

int RunCompletion(const CLI::App& app, const std::string& shell) {
  const auto script = CompletionScript(app, shell);
  if (!script.ok()) {
    Fail(script.status());
    return kUsage;
  }
  std::fputs(script->c_str(), stdout);
  return kOk;
}

int Main(int argc, char** argv) {
  CLI::App app(kDescription, "torchfleet");
  app.footer(kExitCodes);
  app.set_version_flag("--version", std::string("torchfleet ") + kVersion);
  app.require_subcommand(1);
  UpOptions up;
  TrainOptions train;
  InferOptions infer;
  LoadOptions load;
  StatusOptions status;
  MigrateOptions migrate;
  DrainOptions drain;
  QuarantineOptions quarantine;
  CatalogueOptions catalogue;
  std::string shell;
  AddUp(app, up);
  AddTrain(app, train);
  AddInfer(app, infer);
  AddLoad(app, load);
  AddStatus(app, status);
  AddMigrate(app, migrate);
  AddDrain(app, drain);
  AddQuarantine(app, quarantine);
  AddModelCommand(app, catalogue);
  AddRouteCommand(app, catalogue);
  auto* completion = app.add_subcommand("completion", "A completion script for your shell");
  completion->add_option("shell", shell, "bash, zsh or fish")->required();
  if (const auto exit_code = ParseFlags(app, argc, argv)) return *exit_code;

  if (app.got_subcommand("up")) return RunUp(up);
  if (app.got_subcommand("train")) return RunTrain(train);
  if (app.got_subcommand("infer")) return RunInfer(infer);
  if (app.got_subcommand("load")) return RunLoad(load);
  if (app.got_subcommand("status")) return RunStatus(status);
  if (app.got_subcommand("migrate")) return RunMigrate(migrate);
  if (app.got_subcommand("drain")) return RunDrain(drain);
  if (app.got_subcommand("quarantine")) return RunQuarantine(quarantine);
  if (catalogue.run) return catalogue.run(catalogue);
  return RunCompletion(app, shell);
}

}  // namespace
}  // namespace torchfleet::cli

int main(int argc, char** argv) { return torchfleet::cli::Main(argc, argv); }
