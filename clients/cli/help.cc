#include "clients/cli/help.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace beamline::cli {
namespace {

std::string FlagUsage(const Flag& flag) {
  return flag.value.empty() ? "--" + flag.name : absl::StrCat("--", flag.name, " ", flag.value);
}

std::string FlagLines(const std::vector<Flag>& flags) {
  size_t width = 0;
  for (const Flag& flag : flags) width = std::max(width, FlagUsage(flag).size());
  std::string text;
  for (const Flag& flag : flags) {
    absl::StrAppendFormat(&text, "  %-*s  %s%s\n", static_cast<int>(width), FlagUsage(flag),
                          flag.help, flag.repeated ? " (may be repeated)" : "");
  }
  return text;
}

std::string CommandLines(const std::vector<const Command*>& commands) {
  size_t width = 0;
  for (const Command* command : commands) width = std::max(width, command->path.size());
  std::string text;
  for (const Command* command : commands) {
    absl::StrAppendFormat(&text, "  %-*s  %s\n", static_cast<int>(width), command->path,
                          command->summary);
  }
  return text;
}

std::string FirstWord(const Command& command) {
  return command.path.substr(0, command.path.find(' '));
}

// For the shells' single quotes.
std::string Quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string FlagWords(const Command& command) {
  std::string words;
  for (const Flag& flag : command.flags) absl::StrAppend(&words, " --", flag.name);
  for (const Flag& flag : GlobalFlags()) absl::StrAppend(&words, " --", flag.name);
  return words.substr(1);
}

bool TakesFiles(const Command& command) {
  const auto is_file = [](const auto& item) { return item.completion != Completion::kNone; };
  return std::ranges::any_of(command.positionals, is_file) ||
         std::ranges::any_of(command.flags, is_file);
}

// First words once each, and for each group its second words.
std::vector<std::pair<std::string, std::string>> Groups(const std::vector<Command>& commands) {
  std::vector<std::pair<std::string, std::string>> groups;
  for (const Command& command : commands) {
    const std::string first = FirstWord(command);
    const auto found = std::ranges::find(groups, first, [](const auto& g) { return g.first; });
    auto& group = found == groups.end() ? groups.emplace_back(first, "") : *found;
    if (command.path.size() > first.size()) {
      absl::StrAppend(&group.second, group.second.empty() ? "" : " ",
                      command.path.substr(first.size() + 1));
    }
  }
  return groups;
}

std::string BashScript(const std::vector<Command>& commands) {
  std::string first_words;
  std::string group_cases;
  for (const auto& [first, seconds] : Groups(commands)) {
    absl::StrAppend(&first_words, first_words.empty() ? "" : " ", first);
    if (!seconds.empty()) {
      absl::StrAppendFormat(&group_cases, "      %s) words='%s' ;;\n", first, seconds);
    }
  }
  std::string flag_cases;
  for (const Command& command : commands) {
    absl::StrAppendFormat(&flag_cases, "    '%s') flags='%s'; files=%d ;;\n", command.path,
                          FlagWords(command), TakesFiles(command) ? 1 : 0);
  }
  return absl::StrFormat(R"(# Completion of beamline for bash: source this file.
_beamline() {
  local word="${COMP_WORDS[COMP_CWORD]}" words='' flags='' files=0
  if (( COMP_CWORD == 1 )); then
    words='%s'
  elif (( COMP_CWORD == 2 )); then
    case "${COMP_WORDS[1]}" in
%s    esac
  fi
  case "${COMP_WORDS[1]} ${COMP_WORDS[2]}" in
%s  esac
  case "${COMP_WORDS[1]}" in
%s  esac
  COMPREPLY=( $(compgen -W "$words${flags:+ $flags}" -- "$word") )
  if (( files )) && [[ "$word" != -* ]]; then
    COMPREPLY+=( $(compgen -f -- "$word") )
  fi
}
complete -o filenames -F _beamline beamline
)",
                         first_words, group_cases, flag_cases, flag_cases);
}

std::string ZshScript(const std::vector<Command>& commands) {
  return "#compdef beamline\n"
         "# Completion of beamline for zsh: put this file into $fpath as _beamline, or source it.\n"
         "autoload -U +X bashcompinit && bashcompinit\n" +
         BashScript(commands);
}

std::string FishScript(const std::vector<Command>& commands) {
  std::string text =
      "# Completion of beamline for fish: save as ~/.config/fish/completions/beamline.fish\n"
      "complete -c beamline -f\n";
  for (const auto& [first, seconds] : Groups(commands)) {
    absl::StrAppendFormat(&text, "complete -c beamline -n __fish_use_subcommand -a %s\n", first);
    if (!seconds.empty()) {
      absl::StrAppendFormat(&text,
                            "complete -c beamline -n '__fish_seen_subcommand_from %s; and not "
                            "__fish_seen_subcommand_from %s' -a '%s'\n",
                            first, seconds, seconds);
    }
  }
  for (const Command& command : commands) {
    std::string condition;
    for (const absl::string_view word : absl::StrSplit(command.path, ' ')) {
      absl::StrAppend(&condition, condition.empty() ? "" : "; and ", "__fish_seen_subcommand_from ",
                      word);
    }
    for (const Flag& flag : command.flags) {
      absl::StrAppendFormat(&text, "complete -c beamline -n '%s' -l %s%s -d %s\n", condition,
                            flag.name, flag.value.empty() ? "" : " -r", Quoted(flag.help));
    }
    if (TakesFiles(command)) {
      absl::StrAppendFormat(&text, "complete -c beamline -n '%s' -F\n", condition);
    }
  }
  for (const Flag& flag : GlobalFlags()) {
    absl::StrAppendFormat(&text, "complete -c beamline -l %s%s -d %s\n", flag.name,
                          flag.value.empty() ? "" : " -r", Quoted(flag.help));
  }
  return text;
}

}  // namespace

std::string Synopsis(const Command& command) {
  std::string text = "beamline " + command.path;
  for (const Positional& positional : command.positionals) {
    const std::string name = positional.name + (positional.repeated ? "..." : "");
    absl::StrAppend(&text, " ", positional.optional ? "[" + name + "]" : name);
  }
  return text;
}

std::string Overview(const std::vector<Command>& commands) {
  std::vector<const Command*> all;
  for (const Command& command : commands) all.push_back(&command);
  std::string text = absl::StrCat(
      "beamline: machine learning on machines of your own.\n\n"
      "usage: beamline COMMAND [arguments] [flags]\n\nCommands:\n",
      CommandLines(all), "\nFlags of every command:\n", FlagLines(GlobalFlags()),
      "\nExit codes:\n");
  for (const ExitCodeInfo& info : ExitCodes()) {
    absl::StrAppendFormat(&text, "  %3d  %s\n", static_cast<int>(info.code), info.meaning);
  }
  absl::StrAppend(
      &text,
      "\nEnvironment: BEAMLINE_CONFIG (file with servers and tokens, default "
      "~/.config/beamline/config.json),\nBEAMLINE_CONTEXT, BEAMLINE_PROJECT, BEAMLINE_TOKEN, "
      "NO_COLOR.\n\"beamline help COMMAND\" explains one command. Start with: beamline dev\n");
  return text;
}

std::string GroupHelp(const std::vector<Command>& commands, std::string_view group) {
  std::vector<const Command*> members;
  for (const Command& command : commands) {
    if (FirstWord(command) == group) members.push_back(&command);
  }
  return absl::StrFormat("Commands of \"beamline %s\":\n%s", group, CommandLines(members));
}

std::string HelpFor(const Command& command) {
  std::string text = absl::StrCat(command.summary, ".\n\nusage: ", Synopsis(command),
                                  command.flags.empty() ? "" : " [flags]", "\n");
  if (!command.details.empty()) absl::StrAppend(&text, "\n", command.details, "\n");
  if (!command.flags.empty()) absl::StrAppend(&text, "\nFlags:\n", FlagLines(command.flags));
  absl::StrAppend(&text, "\nFlags of every command:\n", FlagLines(GlobalFlags()));
  return text;
}

absl::StatusOr<std::string> CompletionScript(const std::vector<Command>& commands,
                                             std::string_view shell) {
  if (shell == "bash") return BashScript(commands);
  if (shell == "zsh") return ZshScript(commands);
  if (shell == "fish") return FishScript(commands);
  return UsageError(
      absl::StrFormat("there is no completion for \"%s\"; give bash, zsh or fish", shell));
}

}  // namespace beamline::cli
