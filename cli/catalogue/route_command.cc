#include "cli/catalogue/route_command.h"

#include <fmt/format.h>

#include <functional>
#include <optional>

#include "base/process.h"
#include "base/status.h"
#include "cli/catalogue/catalogue_client.h"
#include "cli/catalogue/catalogue_flags.h"
#include "cli/catalogue/catalogue_text.h"
#include "cli/catalogue/catalogue_words.h"
#include "cli/catalogue/resource_text.h"

namespace torchfleet::cli {
namespace {

namespace v1 = torchfleet::registry::v1;
using Stub = CatalogueClient::Stub;
using Edit = std::function<absl::Status(v1::Route&)>;

std::string Changed(const CatalogueOptions& options, const v1::Route& route) {
  if (options.format == "json") return AsJson(route);
  return fmt::format("route {} set, revision {}\n", route.model(), route.revision());
}

absl::StatusOr<v1::Route> Read(const CatalogueClient& client, const std::string& model) {
  v1::GetRouteRequest request;
  request.set_model(model);
  ASSIGN_OR_RETURN(auto response, client.Ask(&Stub::GetRoute, request));
  return std::move(*response.mutable_route());
}

v1::SetRouteRequest Request(const CatalogueOptions& options, const v1::Route& route) {
  v1::SetRouteRequest request;
  *request.mutable_route() = route;
  request.set_revision(DemandedRevision(options, route));
  request.set_force(options.force);
  request.set_actor(options.actor);
  return request;
}

absl::StatusOr<std::string> List(const CatalogueOptions& options) {
  ASSIGN_OR_RETURN(const auto client, CatalogueClient::Connect(options));
  v1::ListRoutesRequest request;
  request.set_model_prefix(options.prefix);
  v1::ListRoutesResponse all;
  RETURN_IF_ERROR(client.AskAll(
      &Stub::ListRoutes, request,
      [&](const v1::ListRoutesResponse& page) { all.mutable_routes()->MergeFrom(page.routes()); }));
  if (options.format == "json") return AsJson(all);
  return RoutesAsTable({all.routes().begin(), all.routes().end()});
}

absl::StatusOr<std::string> Show(const CatalogueOptions& options) {
  ASSIGN_OR_RETURN(const auto client, CatalogueClient::Connect(options));
  ASSIGN_OR_RETURN(const v1::Route route, Read(client, options.name));
  return options.format == "json" ? AsJson(route) : RouteAsText(route);
}

absl::StatusOr<std::string> Apply(const CatalogueOptions& options) {
  ASSIGN_OR_RETURN(const std::string text, ReadFileOf(options));
  v1::Route route;
  RETURN_IF_ERROR(ReadResource(text, options.file, route));
  ASSIGN_OR_RETURN(const auto client, CatalogueClient::Connect(options));
  ASSIGN_OR_RETURN(const auto set, client.Ask(&Stub::SetRoute, Request(options, route)));
  return Changed(options, set.route());
}

// Changes the route as it is now; again when somebody else was first, unless a
// revision is demanded.
absl::StatusOr<std::string> ChangeNow(const CatalogueOptions& options, const Edit& edit) {
  ASSIGN_OR_RETURN(const auto client, CatalogueClient::Connect(options));
  absl::StatusOr<v1::SetRouteResponse> set;
  for (int tries = 0; tries < CatalogueClient::kMaxTries; ++tries) {
    auto route = Read(client, options.name);
    const bool is_new = absl::IsNotFound(route.status());
    if (is_new) route.emplace().set_model(options.name);
    RETURN_IF_ERROR(route.status());
    RETURN_IF_ERROR(edit(*route));
    v1::SetRouteRequest request = Request(options, *route);
    request.set_create_only(is_new && options.revision == 0);
    set = client.Ask(&Stub::SetRoute, request);
    const bool late = absl::IsAborted(set.status()) || absl::IsAlreadyExists(set.status());
    if (!late || options.revision != 0) break;
  }
  RETURN_IF_ERROR(set.status());
  return Changed(options, set->route());
}

int RunSplit(const CatalogueOptions& options) {
  const auto targets = ParseSplit(options.words);
  if (!targets.ok()) return WrongUsage(targets.status());
  return Print(ChangeNow(options, [&](v1::Route& route) {
    Split(*targets, options.by_header, route);
    return absl::OkStatus();
  }));
}

int RunCanary(const CatalogueOptions& options) {
  const CanaryWords& words = options.canary;
  if (words.end) return Print(ChangeNow(options, EndCanary));
  const auto canary = ParseCanary(words);
  if (!canary.ok()) return WrongUsage(canary.status());
  std::optional<v1::RouteTarget> stable;
  if (!words.stable.empty()) {
    const auto target = ParseTarget(words.stable);
    if (!target.ok()) return WrongUsage(target.status());
    stable = *target;
  }
  return Print(ChangeNow(options, [&](v1::Route& route) {
    return BeginCanary(*canary, stable, options.by_header, route);
  }));
}

int RunPromote(const CatalogueOptions& options) { return Print(ChangeNow(options, PromoteCanary)); }

absl::StatusOr<std::string> Delete(const CatalogueOptions& options) {
  ASSIGN_OR_RETURN(const auto client, CatalogueClient::Connect(options));
  v1::DeleteRouteRequest request;
  request.set_model(options.name);
  request.set_revision(options.revision);
  request.set_actor(options.actor);
  RETURN_IF_ERROR(client.Ask(&Stub::DeleteRoute, request).status());
  return options.format == "json" ? "{}\n" : fmt::format("route {} deleted\n", options.name);
}

// `canary` and `promote`, which is how a trial ends well.
std::vector<CLI::App*> AddCanaryCommands(CLI::App& route, CatalogueOptions& options) {
  CanaryWords& words = options.canary;
  CLI::App& canary = AddCatalogueCommand(
      route, "canary", "Try a version on a growing share of the calls that no other rule picks out",
      options, RunCanary);
  CLI::App& promote = AddCatalogueCommand(route, "promote",
                                          "All calls of the trial to the version that was on trial",
                                          options, RunPromote);
  for (CLI::App* command : {&canary, &promote}) AddName(*command, options);
  auto* const version =
      canary.add_option("version", words.version, "The version on trial, or its alias");
  auto* const end =
      canary.add_flag("--end", words.end, "End the trial: the targets have all calls");
  end->excludes(version);
  canary.add_option("--stable", words.stable,
                    "The version that serves now, where the route does not say so");
  canary.add_option("--steps", words.steps, "Its shares in per cent, one after the other")
      ->capture_default_str();
  AddDurationFlag(canary, "--step-time", words.step_time, "How long each step lasts at least");
  canary.add_option("--min-calls", words.min_calls,
                    "How many calls of it a gateway must have seen in a step; by default 100");
  canary.add_option("--max-more-errors", words.max_more_errors_percent,
                    "By how many per cent of all calls more may fail than at the targets; by "
                    "default 1");
  canary.add_option("--max-latency", words.max_latency_percent,
                    "How long its 95th percentile of latency may be, in per cent of the targets'; "
                    "by default 150");
  return {&canary, &promote};
}

}  // namespace

void AddRouteCommand(CLI::App& app, CatalogueOptions& options) {
  CLI::App& route = *app.add_subcommand(
      "route",
      "Where the calls for a model go; without a route to its latest version\n\n"
      "  torchfleet route split mnist 3=90 4=10            a tenth of the calls to version 4\n"
      "  torchfleet route split mnist prod=1               all to an alias\n"
      "  torchfleet route canary mnist 4 --stable 3        version 4 on trial beside 3\n"
      "  torchfleet route promote mnist                    all calls to it\n"
      "  torchfleet route apply mnist-route.textproto      rules, headers, shadows\n"
      "  torchfleet route show mnist\n"
      "  torchfleet route delete mnist");
  route.require_subcommand(1);
  CLI::App& list = AddCatalogueCommand(route, "list", "Every route, a line each", options,
                                       [](const CatalogueOptions& o) { return Print(List(o)); });
  list.add_option("--prefix", options.prefix, "Only models that begin like this");
  AddName(AddCatalogueCommand(route, "show", "All of one route", options,
                              [](const CatalogueOptions& o) { return Print(Show(o)); }),
          options);
  CLI::App& apply = AddCatalogueCommand(route, "apply", "Set a route, whole, from a file", options,
                                        [](const CatalogueOptions& o) { return Print(Apply(o)); });
  AddFile(apply, options,
          "A Route in text format or JSON; - for standard input. A revision in it is demanded");
  CLI::App& split = AddCatalogueCommand(
      route, "split", "Share out the calls that no other rule picks out", options, RunSplit);
  CLI::App& remove =
      AddCatalogueCommand(route, "delete", "Remove a route: all calls to the latest version",
                          options, [](const CatalogueOptions& o) { return Print(Delete(o)); });
  for (CLI::App* command : {&split, &remove}) AddName(*command, options);
  split
      .add_option("target", options.words,
                  "VERSION=WEIGHT or ALIAS=WEIGHT; OTHER-MODEL/ before it for another model")
      ->required();
  const auto canaries = AddCanaryCommands(route, options);
  CLI::App& canary = *canaries.front();
  for (CLI::App* command : {&split, &canary}) {
    command->add_option("--by-header", options.by_header,
                        "Calls with the same value of this header go the same way");
  }
  for (CLI::App* command : {&apply, &split, &remove}) AddChangeFlags(*command, options);
  for (CLI::App* command : canaries) AddChangeFlags(*command, options);
  for (CLI::App* command : {&apply, &split, &canary}) {
    AddForceFlag(*command, options, "Even if it names what the catalogue does not have");
  }
}

}  // namespace torchfleet::cli
