#include "cli/completion/completion.h"

#include <fmt/format.h>

#include <vector>

namespace torchfleet::cli {
namespace {

// Subcommands, the long flags of each, and its own subcommands.
struct Command {
  std::string name, help;
  std::vector<std::pair<std::string, std::string>> flags;
  std::vector<Command> commands;
};

std::vector<Command> Commands(const CLI::App& app) {
  std::vector<Command> commands;
  for (const CLI::App* sub : app.get_subcommands(nullptr)) {
    Command command{sub->get_name(), sub->get_description(), {}, Commands(*sub)};
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

// `case` branches for the word at `depth`, which is one of the commands.
std::string BashCases(const std::vector<Command>& commands, int depth) {
  std::string text = fmt::format("  case ${{COMP_WORDS[{}]}} in\n", depth);
  for (const Command& command : commands) {
    if (command.commands.empty()) {
      text += fmt::format("    {}) words='{}' ;;\n", command.name, Flags(command));
      continue;
    }
    text += fmt::format(
        "    {})\n{}    [[ $COMP_CWORD -eq {} ]] && words='{}'\n"
        "    [[ $COMP_CWORD -eq {} && $word == -* ]] && words='{}' ;;\n",
        command.name, BashCases(command.commands, depth + 1), depth + 1, Words(command.commands),
        depth + 1, Flags(command));
  }
  return text + "  esac\n";
}

std::string Bash(const std::vector<Command>& commands) {
  return fmt::format(
      "_torchfleet() {{\n  local word=${{COMP_WORDS[COMP_CWORD]}} words=\n{}"
      "  [[ $COMP_CWORD -eq 1 ]] && words='{}'\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}}\n"
      "complete -o default -F _torchfleet torchfleet\n",
      BashCases(commands, 1), Words(commands));
}

std::string Zsh(const std::vector<Command>& commands) {
  return "#compdef torchfleet\nautoload -U +X bashcompinit && bashcompinit\n" + Bash(commands);
}

std::string Quoted(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '\'' ? std::string("\\'") : std::string(1, c);
  return "'" + out + "'";
}

// Of commands that follow where `condition` holds.
std::string FishCommands(const std::vector<Command>& commands, const std::string& condition,
                         const std::string& before) {
  std::string text;
  for (const Command& command : commands) {
    text += fmt::format("complete -c torchfleet -n {} -f -a {} -d {}\n", Quoted(condition),
                        command.name, Quoted(command.help));
    const std::string seen = fmt::format("{}__fish_seen_subcommand_from {}", before, command.name);
    for (const auto& [flag, help] : command.flags) {
      text += fmt::format("complete -c torchfleet -n {} -l {} -d {}\n", Quoted(seen),
                          flag.substr(2), Quoted(help));
    }
    if (command.commands.empty()) continue;
    text += FishCommands(
        command.commands,
        fmt::format("{}; and not __fish_seen_subcommand_from {}", seen, Words(command.commands)),
        seen + "; and ");
  }
  return text;
}

std::string Fish(const std::vector<Command>& commands) {
  return FishCommands(commands, "__fish_use_subcommand", "");
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
