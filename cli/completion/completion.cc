#include "cli/completion/completion.h"

#include <fmt/format.h>

#include <vector>

namespace torchfleet::cli {
namespace {

// Subcommands, and the long flags of each.
struct Command {
  std::string name, help;
  std::vector<std::pair<std::string, std::string>> flags;
};

std::vector<Command> Commands(const CLI::App& app) {
  std::vector<Command> commands;
  for (const CLI::App* sub : app.get_subcommands(nullptr)) {
    Command command{sub->get_name(), sub->get_description(), {}};
    command.help = command.help.substr(0, command.help.find('\n'));
    for (const CLI::Option* option : sub->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        command.flags.emplace_back("--" + name, option->get_description());
      }
    }
    commands.push_back(std::move(command));
  }
  return commands;
}

std::string Words(const std::vector<Command>& commands) {
  std::string words;
  for (const Command& command : commands) words += (words.empty() ? "" : " ") + command.name;
  return words;
}

std::string Flags(const Command& command) {
  std::string words;
  for (const auto& [flag, help] : command.flags) words += (words.empty() ? "" : " ") + flag;
  return words;
}

std::string Bash(const std::vector<Command>& commands) {
  std::string text =
      "_torchfleet() {\n  local word=${COMP_WORDS[COMP_CWORD]} words=\n  case ${COMP_WORDS[1]} "
      "in\n";
  for (const Command& command : commands) {
    text += fmt::format("    {}) words='{}' ;;\n", command.name, Flags(command));
  }
  return text + fmt::format(
                    "  esac\n  [[ $COMP_CWORD -eq 1 ]] && words='{}'\n"
                    "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}}\n"
                    "complete -o default -F _torchfleet torchfleet\n",
                    Words(commands));
}

std::string Zsh(const std::vector<Command>& commands) {
  return "#compdef torchfleet\nautoload -U +X bashcompinit && bashcompinit\n" + Bash(commands);
}

std::string Fish(const std::vector<Command>& commands) {
  const auto quoted = [](std::string text) {
    std::string out;
    for (const char c : text) out += c == '\'' ? std::string("\\'") : std::string(1, c);
    return "'" + out + "'";
  };
  std::string text;
  for (const Command& command : commands) {
    text += fmt::format("complete -c torchfleet -n __fish_use_subcommand -f -a {} -d {}\n",
                        command.name, quoted(command.help));
    for (const auto& [flag, help] : command.flags) {
      text +=
          fmt::format("complete -c torchfleet -n '__fish_seen_subcommand_from {}' -l {} -d {}\n",
                      command.name, flag.substr(2), quoted(help));
    }
  }
  return text;
}

}  // namespace

absl::StatusOr<std::string> CompletionScript(const CLI::App& app, const std::string& shell) {
  const std::vector<Command> commands = Commands(app);
  if (shell == "bash") return Bash(commands);
  if (shell == "zsh") return Zsh(commands);
  if (shell == "fish") return Fish(commands);
  return absl::InvalidArgumentError(
      fmt::format("no completion for shell '{}'; expected bash, zsh or fish", shell));
}

}  // namespace torchfleet::cli
