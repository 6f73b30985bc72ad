#include "cli/catalogue/model_command.h"

#include <fmt/format.h>

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

// What a change is answered with.
std::string Changed(const CatalogueOptions& options, const v1::Model& model,
                    std::string_view what) {
  if (options.format == "json") return AsJson(model);
  return fmt::format("model {} {}, revision {}\n", model.name(), what, model.revision());
}

absl::StatusOr<v1::Model> Read(const CatalogueClient& client, const std::string& name) {
  v1::GetModelRequest request;
  request.set_name(name);
  ASSIGN_OR_RETURN(auto response, client.Ask(&Stub::GetModel, request));
  return std::move(*response.mutable_model());
}

absl::StatusOr<v1::Model> Update(const CatalogueClient& client, const CatalogueOptions& options,
                                 const v1::Model& model, uint64_t revision) {
  v1::UpdateModelRequest request;
  *request.mutable_model() = model;
  request.set_revision(revision);
  request.set_force(options.force);
  request.set_actor(options.actor);
  ASSIGN_OR_RETURN(auto response, client.Ask(&Stub::UpdateModel, request));
  return std::move(*response.mutable_model());
}

// Edits the model as it is now; again when somebody else was first, unless a
// revision is demanded.
template <typename Edit>
absl::StatusOr<v1::Model> Change(const CatalogueOptions& options, const Edit& edit) {
  ASSIGN_OR_RETURN(const auto client, CatalogueClient::Connect(options));
  absl::StatusOr<v1::Model> changed;
  for (int tries = 0; tries < CatalogueClient::kMaxTries; ++tries) {
    ASSIGN_OR_RETURN(v1::Model model, Read(client, options.name));
    RETURN_IF_ERROR(edit(model));
    changed = Update(client, options, model, DemandedRevision(options, model));
    if (!absl::IsAborted(changed.status()) || options.revision != 0) break;
  }
  return changed;
}

absl::StatusOr<std::string> List(const CatalogueOptions& options, v1::ListModelsRequest request) {
  ASSIGN_OR_RETURN(const auto client, CatalogueClient::Connect(options));
  request.set_name_prefix(options.prefix);
  v1::ListModelsResponse all;
  RETURN_IF_ERROR(client.AskAll(
      &Stub::ListModels, request,
      [&](const v1::ListModelsResponse& page) { all.mutable_models()->MergeFrom(page.models()); }));
  if (options.format == "json") return AsJson(all);
  return ModelsAsTable({all.models().begin(), all.models().end()});
}

int RunList(const CatalogueOptions& options) {
  v1::ListModelsRequest request;
  if (const absl::Status status = EditMap(options.labels, *request.mutable_labels());
      !status.ok()) {
    return WrongUsage(status);
  }
  return Print(List(options, request));
}

absl::StatusOr<std::string> Show(const CatalogueOptions& options) {
  ASSIGN_OR_RETURN(const auto client, CatalogueClient::Connect(options));
  ASSIGN_OR_RETURN(const v1::Model model, Read(client, options.name));
  return options.format == "json" ? AsJson(model) : ModelAsText(model);
}

absl::StatusOr<std::string> Apply(const CatalogueOptions& options) {
  ASSIGN_OR_RETURN(const std::string text, ReadFileOf(options));
  v1::Model model;
  RETURN_IF_ERROR(ReadResource(text, options.file, model));
  ASSIGN_OR_RETURN(const auto client, CatalogueClient::Connect(options));
  const uint64_t revision = DemandedRevision(options, model);
  auto updated = Update(client, options, model, revision);
  if (updated.ok()) return Changed(options, *updated, "updated");
  if (!absl::IsNotFound(updated.status()) || revision != 0) return updated.status();
  v1::CreateModelRequest request;
  *request.mutable_model() = model;
  request.set_actor(options.actor);
  ASSIGN_OR_RETURN(const auto created, client.Ask(&Stub::CreateModel, request));
  return Changed(options, created.model(), "created");
}

absl::StatusOr<std::string> Delete(const CatalogueOptions& options) {
  ASSIGN_OR_RETURN(const auto client, CatalogueClient::Connect(options));
  v1::DeleteModelRequest request;
  request.set_name(options.name);
  request.set_revision(options.revision);
  request.set_force(options.force);
  request.set_actor(options.actor);
  RETURN_IF_ERROR(client.Ask(&Stub::DeleteModel, request).status());
  return options.format == "json" ? "{}\n" : fmt::format("model {} deleted\n", options.name);
}

// Edits one of the model's maps by the words.
int EditWords(const CatalogueOptions& options, TextMap* (*map_of)(v1::Model&)) {
  // The words by themselves, so that a wrong one is wrong usage.
  for (const std::string& word : options.words) {
    TextMap map;
    if (const absl::Status status = EditMap({word}, map); absl::IsInvalidArgument(status)) {
      return WrongUsage(status);
    }
  }
  const auto changed =
      Change(options, [&](v1::Model& model) { return EditMap(options.words, *map_of(model)); });
  if (!changed.ok()) return Print(changed.status());
  return Print(Changed(options, *changed, "updated"));
}

absl::StatusOr<std::string> History(const CatalogueOptions& options) {
  ASSIGN_OR_RETURN(const auto client, CatalogueClient::Connect(options));
  v1::ListChangesRequest request;
  request.set_model(options.name);
  request.set_page_size(options.limit);
  ASSIGN_OR_RETURN(const auto page, client.Ask(&Stub::ListChanges, request));
  if (options.format == "json") return AsJson(page);
  return ChangesAsTable({page.changes().begin(), page.changes().end()});
}

void AddReads(CLI::App& model, CatalogueOptions& options) {
  CLI::App& list = AddCatalogueCommand(model, "list", "Every model, a line each", options, RunList);
  list.add_option("--prefix", options.prefix, "Only names that begin like this");
  list.add_option("--label", options.labels,
                  "KEY=VALUE: only models with this label; more than once for several")
      ->allow_extra_args(false);
  AddName(AddCatalogueCommand(model, "show", "All of one model", options,
                              [](const CatalogueOptions& o) { return Print(Show(o)); }),
          options);
  CLI::App& history =
      AddCatalogueCommand(model, "history", "Who changed what and when, the latest first", options,
                          [](const CatalogueOptions& o) { return Print(History(o)); });
  history.add_option("model", options.name, "Only of this model and its route");
  history.add_option("--limit", options.limit, "At most so many")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
}

}  // namespace

void AddModelCommand(CLI::App& app, CatalogueOptions& options) {
  CLI::App& model = *app.add_subcommand(
      "model",
      "The catalogue's models: versions, aliases, labels, placement\n\n"
      "  torchfleet model list --label team=vision\n"
      "  torchfleet model apply mnist.textproto            add it, or replace it whole\n"
      "  torchfleet model show mnist -o json > mnist.json  and edit, and apply\n"
      "  torchfleet model alias mnist prod=4 canary-       name a version; take a name away\n"
      "  torchfleet model label mnist team=vision\n"
      "  torchfleet model history mnist");
  model.require_subcommand(1);
  AddReads(model, options);
  CLI::App& apply =
      AddCatalogueCommand(model, "apply", "Add a model, or replace it whole, from a file", options,
                          [](const CatalogueOptions& o) { return Print(Apply(o)); });
  AddFile(apply, options,
          "A Model in text format or JSON; - for standard input. A revision in it is demanded");
  CLI::App& remove =
      AddCatalogueCommand(model, "delete", "Remove a model", options,
                          [](const CatalogueOptions& o) { return Print(Delete(o)); });
  CLI::App& alias = AddCatalogueCommand(
      model, "alias", "Give versions names, such as prod", options, [](const CatalogueOptions& o) {
        return EditWords(o, [](v1::Model& m) { return m.mutable_aliases(); });
      });
  CLI::App& label = AddCatalogueCommand(
      model, "label", "Say something of a model", options, [](const CatalogueOptions& o) {
        return EditWords(o, [](v1::Model& m) { return m.mutable_labels(); });
      });
  for (CLI::App* command : {&remove, &alias, &label}) AddName(*command, options);
  alias.add_option("alias", options.words, "ALIAS=VERSION, or ALIAS- to take it away")->required();
  label.add_option("label", options.words, "KEY=VALUE, or KEY- to take it away")->required();
  for (CLI::App* command : {&apply, &remove, &alias, &label}) AddChangeFlags(*command, options);
  for (CLI::App* command : {&apply, &remove, &alias}) {
    AddForceFlag(*command, options, "Even if a route names what would be gone");
  }
}

}  // namespace torchfleet::cli
