// Programs of the user's, and command steps.
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "pipeline/program_folder.h"
#include "pipeline/programs.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

constexpr size_t kMaxNameBytes = 100;
constexpr size_t kMaxArgumentBytes = 64 << 10;

void CheckArguments(Context& context, const std::string& path, const v1::Program& program) {
  if (program.arguments().empty() || program.arguments(0).empty()) {
    context.errors.Add(path,
                       "are missing: give the program and its arguments, such as "
                       "[python3, train.py]");
  }
  if (program.arguments_size() > kMaxProgramArguments) {
    context.errors.Add(path, absl::StrCat("are ", program.arguments_size(), "; at most ",
                                          kMaxProgramArguments, " are possible"));
  }
  for (int i = 0; i < program.arguments_size(); ++i) {
    const std::string& argument = program.arguments(i);
    if (argument.size() > kMaxArgumentBytes || argument.find('\0') != std::string::npos) {
      context.errors.Add(absl::StrCat(path, ".", i),
                         "is longer than 64 KiB or has a zero byte: put it into a file");
    }
  }
}

// A name that stands for a file right in the folder.
std::string WrongName(const std::string& name) {
  if (name.empty() || name.size() > kMaxNameBytes || name == "." || name == ".." ||
      name.find('/') != std::string::npos) {
    return "a file's name is 1 to 100 bytes without '/'";
  }
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) return "a file's name is printable";
  }
  return "";
}

void CheckFiles(Context& context, const std::string& path, const v1::Program& program,
                bool for_run) {
  if (program.files_size() > kMaxProgramFiles) {
    context.errors.Add(path, absl::StrCat("are ", program.files_size(), "; at most ",
                                          kMaxProgramFiles, " are possible"));
  }
  size_t bytes = 0;
  const std::map<std::string, v1::ProgramFile> files(program.files().begin(),
                                                     program.files().end());
  for (const auto& [name, file] : files) {
    const std::string at = absl::StrCat(path, ".", name);
    bytes += file.text().size();
    if (const std::string wrong = WrongName(name); !wrong.empty()) {
      context.errors.Add(at, wrong);
    } else if (IsReservedName(name)) {
      context.errors.Add(at, "this name is the service's: choose another");
    }
    if (file.source_case() == v1::ProgramFile::SOURCE_NOT_SET) {
      context.errors.Add(at, "says neither \"file\" nor \"text\": give one of them");
    } else if (file.has_file() && (for_run || file.file().empty())) {
      context.errors.Add(absl::StrCat(at, ".file"),
                         absl::StrCat("\"", file.file(), "\" is a local file: put its text here"));
    }
  }
  if (bytes > kMaxProgramBytes) {
    context.errors.Add(path, absl::StrCat("hold ", bytes,
                                          " bytes; at most 1 MiB is possible: give "
                                          "what is larger as a dataset"));
  }
}

// Its columns are known when the program has run; what uses it is checked then.
void CheckTable(Context& context, const std::string& path, const std::string& table) {
  if (table.empty()) return;
  if (const std::string wrong = WrongName(table); !wrong.empty()) {
    context.errors.Add(path, wrong);
  } else if (table.ends_with(".csv")) {
    context.errors.Add(path,
                       absl::StrCat("stands for outputs/", table, ".csv: leave its \".csv\" out"));
  }
}

}  // namespace

void CheckProgram(Context& context, const std::string& path, const v1::Program& program) {
  CheckArguments(context, path + ".arguments", program);
  CheckFiles(context, path + ".files", program, context.for_run);
  for (const auto& [name, number] : program.numbers()) {
    if (std::isfinite(number)) continue;
    context.errors.Add(absl::StrCat(path, ".numbers.", name), "is no number");
  }
  if (!program.image().empty() && !IsImageDigest(program.image())) {
    context.errors.Add(
        path + ".image",
        "is no digest of an image, \"sha256:\" and 64 hexadecimal digits, as "
        "\"beamline worker list --json\" shows them: leave it out for the worker's own "
        "root");
  }
}

void CheckCommand(Context& context, const std::string& path, const v1::CommandStep& command) {
  CheckProgram(context, path + ".program", command.program());
  std::set<std::string> seen;
  for (int i = 0; i < command.inputs_size(); ++i) {
    const std::string& name = command.inputs(i);
    const std::string at = absl::StrCat(path, ".inputs.", i);
    if (!context.inputs.contains(name)) {
      context.errors.Add(at, absl::StrCat("\"", name, "\" is no input of this pipeline",
                                          Hint(name, context.InputNames())));
    } else if (!seen.insert(name).second) {
      context.errors.Add(at, absl::StrCat("\"", name, "\" is there twice"));
    }
  }
  seen.clear();
  for (int i = 0; i < command.models_size(); ++i) {
    const std::string& name = command.models(i);
    const std::string at = absl::StrCat(path, ".models.", i);
    if (context.FindTrain(name) == nullptr) {
      context.errors.Add(at, absl::StrCat("\"", name, "\" is no train step of this pipeline",
                                          Hint(name, context.StepNames())));
    } else if (!seen.insert(name).second) {
      context.errors.Add(at, absl::StrCat("\"", name, "\" is there twice"));
    }
  }
  CheckTable(context, path + ".table", command.table());
}

}  // namespace beamline::pipeline::validation
