#include "clients/cli/arguments.h"

#include <algorithm>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/edit_distance.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "clients/cli/format.h"

namespace beamline::cli {
namespace {

const Flag* FindFlag(const Command* command, std::string_view name) {
  for (const Flag& flag : GlobalFlags()) {
    if (flag.name == name) return &flag;
  }
  if (command == nullptr) return nullptr;
  for (const Flag& flag : command->flags) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

absl::Status UnknownFlag(const Command* command, std::string_view name) {
  std::vector<std::string> names;
  for (const Flag& flag : GlobalFlags()) names.push_back(flag.name);
  if (command != nullptr) {
    for (const Flag& flag : command->flags) names.push_back(flag.name);
  }
  const std::string nearest = DidYouMean(name, names);
  const std::string owner = command == nullptr ? "beamline" : "beamline " + command->path;
  return UsageError(absl::StrFormat("%s has no flag --%s%s", owner, name,
                                    nearest.empty()
                                        ? absl::StrCat("; see: ", owner, " --help")
                                        : absl::StrCat("; did you mean --", nearest, "?")));
}

absl::Status UnknownCommand(const std::vector<Command>& commands, const std::string& first,
                            const std::string& second) {
  std::set<std::string> names;
  bool is_group = false;
  for (const Command& command : commands) {
    const size_t space = command.path.find(' ');
    const std::string head = command.path.substr(0, space);
    is_group = is_group || (head == first && space != std::string::npos);
    names.insert(head);
    names.insert(command.path);
  }
  const std::string typed = is_group ? absl::StrCat(first, " ", second) : first;
  std::string nearest = DidYouMean(typed, {names.begin(), names.end()});
  if (nearest.empty() && !is_group && !second.empty()) {
    nearest = DidYouMean(absl::StrCat(first, " ", second), {names.begin(), names.end()});
  }
  return UsageError(absl::StrFormat(
      "there is no command \"%s\"%s", typed,
      nearest.empty() ? (is_group ? absl::StrCat("; see: beamline help ", first)
                                  : std::string("; see: beamline help"))
                      : absl::StrCat("; did you mean \"beamline ", nearest, "\"?")));
}

// Reads the words after the command's own.
class Reader {
 public:
  Reader(const std::vector<std::string>& words, ParsedLine& line) : words_(words), line_(line) {}

  // Takes the flag at `i`, and its value if that is the next word.
  absl::Status TakeFlag(size_t& i) {
    const std::string& word = words_[i];
    const size_t equals = word.find('=');
    const std::string name = word.substr(2, equals == std::string::npos ? equals : equals - 2);
    const Flag* flag = FindFlag(line_.command, name);
    if (flag == nullptr) return UnknownFlag(line_.command, name);
    if (line_.arguments.Has(name) && !flag->repeated && !flag->value.empty()) {
      return UsageError(absl::StrFormat("--%s is given twice", name));
    }
    if (flag->value.empty()) {
      if (equals != std::string::npos) {
        return UsageError(absl::StrFormat("--%s takes no value", name));
      }
      line_.arguments.Add(name, "");
      return absl::OkStatus();
    }
    if (equals != std::string::npos) {
      line_.arguments.Add(name, word.substr(equals + 1));
      return absl::OkStatus();
    }
    if (i + 1 >= words_.size()) {
      return UsageError(absl::StrFormat("--%s needs a value: --%s %s", name, name, flag->value));
    }
    line_.arguments.Add(name, words_[++i]);
    return absl::OkStatus();
  }

  absl::Status CheckCount() const {
    const Command& command = *line_.command;
    const size_t given = line_.arguments.positionals().size();
    size_t required = 0;
    bool open_ended = false;
    for (const Positional& positional : command.positionals) {
      required += positional.optional ? 0 : 1;
      open_ended = open_ended || positional.repeated;
    }
    if (given < required) {
      return UsageError(absl::StrFormat("%s is missing; see: beamline %s --help",
                                        command.positionals[given].name, command.path));
    }
    if (given > command.positionals.size() && !open_ended) {
      return UsageError(absl::StrFormat("\"%s\" is one argument too many; see: beamline %s --help",
                                        line_.arguments.Positional(command.positionals.size()),
                                        command.path));
    }
    return absl::OkStatus();
  }

 private:
  const std::vector<std::string>& words_;
  ParsedLine& line_;
};

const Command* FindCommand(const std::vector<Command>& commands, std::string_view path) {
  const auto found = std::ranges::find(commands, path, &Command::path);
  return found == commands.end() ? nullptr : &*found;
}

bool IsGroup(const std::vector<Command>& commands, const std::string& word) {
  return std::ranges::any_of(
      commands, [&](const Command& command) { return command.path.starts_with(word + " "); });
}

// Names the command from the first one or two words that are not flags; says which words those
// were. Global flags with values may stand before them.
absl::Status NameCommand(const std::vector<Command>& commands,
                         const std::vector<std::string>& words, ParsedLine& line,
                         std::vector<bool>& used) {
  std::vector<size_t> names;
  for (size_t i = 0; i < words.size() && names.size() < 2; ++i) {
    if (words[i] == "--") break;
    if (!words[i].starts_with("--")) {
      names.push_back(i);
      continue;
    }
    const Flag* flag = FindFlag(nullptr, words[i].substr(2));
    if (flag != nullptr && !flag->value.empty()) ++i;
    if (flag == nullptr && names.size() == 1) break;
  }
  if (names.empty()) return absl::OkStatus();
  const std::string first = words[names[0]];
  const std::string second = names.size() > 1 ? words[names[1]] : "";
  if (!second.empty()) line.command = FindCommand(commands, absl::StrCat(first, " ", second));
  if (line.command != nullptr) {
    used[names[0]] = used[names[1]] = true;
    return absl::OkStatus();
  }
  line.command = FindCommand(commands, first);
  used[names[0]] = true;
  if (line.command != nullptr) return absl::OkStatus();
  if (IsGroup(commands, first) && second.empty()) {
    line.group = first;
    return absl::OkStatus();
  }
  return UnknownCommand(commands, first, second);
}

}  // namespace

const std::vector<Flag>& GlobalFlags() {
  static const std::vector<Flag> flags = {
      {"json", "", "Print JSON: one document, or one line for each item of a stream"},
      {"project", "PROJECT", "The project to work in (default: the context's)"},
      {"context", "NAME", "Which server and token to use (default: the current one)"},
      {"quiet", "", "Print results only, no progress and no hints"},
      {"help", "", "Explain the command"},
  };
  return flags;
}

std::string Arguments::Get(std::string_view flag, std::string_view fallback) const {
  const auto found = values_.find(std::string(flag));
  return found == values_.end() ? std::string(fallback) : found->second.back();
}

std::vector<std::string> Arguments::All(std::string_view flag) const {
  const auto found = values_.find(std::string(flag));
  return found == values_.end() ? std::vector<std::string>() : found->second;
}

absl::StatusOr<int64_t> Arguments::Integer(std::string_view flag, int64_t fallback, int64_t min,
                                           int64_t max) const {
  if (!Has(flag)) return fallback;
  int64_t value = 0;
  if (!absl::SimpleAtoi(Get(flag), &value) || value < min || value > max) {
    return UsageError(absl::StrFormat("--%s is \"%s\"; give a whole number from %d to %d", flag,
                                      Get(flag), min, max));
  }
  return value;
}

std::string Arguments::Positional(size_t index) const {
  return index < positionals_.size() ? positionals_[index] : "";
}

void Arguments::Add(std::string_view flag, std::string_view value) {
  values_[std::string(flag)].emplace_back(value);
}

absl::StatusOr<ParsedLine> ParseLine(const std::vector<Command>& commands,
                                     const std::vector<std::string>& words) {
  ParsedLine line;
  for (const std::string& word : words) {
    if (FindInvalidUtf8(word) != std::string::npos) {
      return UsageError(
          absl::StrFormat("the argument \"%s\" is not UTF-8", absl::CHexEscape(word)));
    }
  }
  std::vector<bool> used(words.size(), false);
  RETURN_IF_ERROR(NameCommand(commands, words, line, used));
  Reader reader(words, line);
  bool flags_ended = false;
  for (size_t i = 0; i < words.size(); ++i) {
    if (used[i]) continue;
    if (!flags_ended && words[i] == "--") {
      flags_ended = true;
    } else if (!flags_ended && words[i] == "-h") {
      line.arguments.Add("help", "");
    } else if (!flags_ended && words[i].starts_with("--")) {
      RETURN_IF_ERROR(reader.TakeFlag(i));
    } else if (!flags_ended && words[i].size() > 1 && words[i][0] == '-') {
      return UsageError(absl::StrFormat(
          "\"%s\" is no flag: flags are written --name; put -- before an argument that starts "
          "with a dash",
          words[i]));
    } else {
      line.arguments.AddPositional(words[i]);
    }
  }
  if (line.command != nullptr && !line.arguments.Has("help")) {
    RETURN_IF_ERROR(reader.CheckCount());
  }
  return line;
}

}  // namespace beamline::cli
