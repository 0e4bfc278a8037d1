// dataset: tables that come from files.

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/edit_distance.h"
#include "base/status_macros.h"
#include "clients/cli/download.h"
#include "clients/cli/format.h"
#include "clients/cli/invocation.h"
#include "clients/cli/json.h"
#include "clients/cli/references.h"
#include "clients/cli/table.h"
#include "clients/cli/upload.h"
#include "clients/cli/verbs/verbs.h"

namespace beamline::cli {
namespace {

// The value of the enum whose name is `prefix` and the word. UsageError lists the words.
template <class Enum>
absl::StatusOr<Enum> ParseWord(const std::string& flag, const std::string& word,
                               const google::protobuf::EnumDescriptor& type,
                               const std::string& prefix) {
  const auto* value = type.FindValueByName(prefix + absl::AsciiStrToUpper(word));
  if (value != nullptr && value->number() != 0) return static_cast<Enum>(value->number());
  std::vector<std::string> words;
  for (int i = 1; i < type.value_count(); ++i) {
    words.push_back(absl::AsciiStrToLower(type.value(i)->name().substr(prefix.size())));
  }
  return UsageError(
      absl::StrFormat("--%s is \"%s\"; give one of %s", flag, word, absl::StrJoin(words, ", ")));
}

absl::StatusOr<v1::ImportOptions> ParseOptions(const Arguments& args) {
  v1::ImportOptions options;
  if (args.Has("format")) {
    ASSIGN_OR_RETURN(const auto format, ParseWord<v1::ImportOptions::Format>(
                                            "format", args.Get("format"),
                                            *v1::ImportOptions::Format_descriptor(), "FORMAT_"));
    options.set_format(format);
  }
  if (args.Has("header")) {
    ASSIGN_OR_RETURN(const auto header, ParseWord<v1::ImportOptions::Header>(
                                            "header", args.Get("header"),
                                            *v1::ImportOptions::Header_descriptor(), "HEADER_"));
    options.set_header(header);
  }
  options.set_delimiter(args.Get("delimiter") == "\\t" ? "\t" : args.Get("delimiter"));
  for (const std::string& marker : args.All("missing")) options.add_missing_markers(marker);
  if (args.Has("columns")) {
    for (const auto name : absl::StrSplit(args.Get("columns"), ',')) {
      options.add_column_names(std::string(name));
    }
  }
  for (const std::string& pair : args.All("type")) {
    const size_t equals = pair.rfind('=');
    if (equals == std::string::npos) {
      return UsageError(absl::StrFormat("--type is \"%s\"; give COLUMN=TYPE", pair));
    }
    ASSIGN_OR_RETURN(const auto type,
                     ParseWord<v1::ColumnType>("type", pair.substr(equals + 1),
                                               *v1::ColumnType_descriptor(), "COLUMN_TYPE_"));
    (*options.mutable_column_types())[pair.substr(0, equals)] = type;
  }
  return options;
}

absl::StatusOr<ExitCode> Upload(Invocation& invocation) {
  ASSIGN_OR_RETURN(const v1::ImportOptions options, ParseOptions(invocation.args()));
  const std::vector<std::string> files = invocation.args().positionals();
  std::vector<std::vector<std::string>> datasets;
  if (invocation.args().Has("join")) {
    datasets.push_back(files);
  } else {
    for (const std::string& path : files) datasets.push_back({path});
  }
  if (invocation.args().Has("name") && datasets.size() > 1) {
    return UsageError(
        "--name names one dataset, but each file becomes one; --join makes one of them all");
  }
  for (const std::vector<std::string>& paths : datasets) {
    ASSIGN_OR_RETURN(const v1::Dataset dataset,
                     UploadFile(invocation, {paths, invocation.args().Get("name"), options}));
    if (invocation.json()) {
      invocation.PrintJsonLine(dataset);
    } else {
      invocation.Print(dataset.name() + "\n");
    }
  }
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> List(Invocation& invocation) {
  ASSIGN_OR_RETURN(const int64_t limit, invocation.args().Integer("limit", 50, 1, 1'000'000));
  v1::ListDatasetsRequest request;
  ASSIGN_OR_RETURN(const std::string project, invocation.Project());
  request.set_parent(project);
  Table table({{"DATASET"},
               {"NAME"},
               {"ROWS", Table::Align::kRight},
               {"COLUMNS", Table::Align::kRight},
               {"SIZE", Table::Align::kRight},
               {"UPLOADED"}});
  RETURN_IF_ERROR(invocation.ForEachPage(
      kListDatasets, request, limit, [&](const v1::ListDatasetsResponse& page) {
        for (const v1::Dataset& dataset : page.datasets()) {
          if (invocation.json()) invocation.PrintJsonLine(dataset);
          table.Add({LastPart(dataset.name()).substr(0, 12), dataset.display_name(),
                     HumanCount(static_cast<double>(dataset.row_count())),
                     absl::StrCat(dataset.columns_size()),
                     HumanBytes(dataset.source().size_bytes()),
                     RelativeTime(TimeOf(dataset.create_time()), invocation.Now())});
        }
        return page.datasets_size();
      }));
  if (!invocation.json()) invocation.Print(table.Render(!invocation.quiet()));
  return ExitCode::kOk;
}

// The bins of a histogram as heights of blocks, or nothing in ASCII.
std::string Sparkline(const v1::ColumnStatistics& statistics, bool utf8) {
  static constexpr const char* kBlocks[] = {" ",      "\u2581", "\u2582", "\u2583", "\u2584",
                                            "\u2585", "\u2586", "\u2587", "\u2588"};
  int64_t highest = 0;
  for (const int64_t count : statistics.histogram()) highest = std::max(highest, count);
  std::string text;
  if (!utf8 || highest == 0) return text;
  for (const int64_t count : statistics.histogram()) {
    text += kBlocks[count == 0 ? 0 : 1 + 7 * count / highest];
  }
  return text;
}

std::string CategoriesText(const v1::ColumnStatistics& statistics) {
  std::string text;
  for (const auto& category : statistics.top_categories()) {
    if (text.size() > 40) return text + ", ...";
    absl::StrAppend(&text, text.empty() ? "" : ", ", category.value(), " (", category.count(), ")");
  }
  return text;
}

absl::StatusOr<ExitCode> Describe(Invocation& invocation) {
  v1::GetDatasetRequest request;
  ASSIGN_OR_RETURN(const std::string name,
                   ResolveDataset(invocation, invocation.args().Positional(0)));
  request.set_name(name);
  ASSIGN_OR_RETURN(const v1::Dataset dataset, invocation.Call(kGetDataset, request));
  if (invocation.json()) {
    invocation.PrintJson(dataset);
    return ExitCode::kOk;
  }
  invocation.Print(absl::StrFormat(
      "%s\n%s: %d rows, %d columns, %s, uploaded %s by %s\n\n", dataset.name(),
      Printable(dataset.display_name()), dataset.row_count(), dataset.columns_size(),
      HumanBytes(dataset.source().size_bytes()),
      RelativeTime(TimeOf(dataset.create_time()), invocation.Now()), LastPart(dataset.creator())));
  constexpr auto kRight = Table::Align::kRight;
  Table table({{"COLUMN"},
               {"TYPE"},
               {"MISSING", kRight},
               {"MIN", kRight},
               {"MEAN", kRight},
               {"MAX", kRight},
               {"STD", kRight},
               {"VALUES"}});
  for (const v1::Column& column : dataset.columns()) {
    const v1::ColumnStatistics& s = column.statistics();
    std::string type = EnumWord(v1::ColumnType_Name(column.type()), "COLUMN_TYPE_");
    if (column.item_shape_size() > 0) {
      absl::StrAppend(&type, "[", absl::StrJoin(column.item_shape(), ", "), "]");
    }
    if (column.type() == v1::COLUMN_TYPE_CATEGORICAL) {
      table.Add(
          {column.name(), type, absl::StrCat(s.missing()), "", "", "", "", CategoriesText(s)});
    } else {
      table.Add({column.name(), type, absl::StrCat(s.missing()), HumanNumber(s.min()),
                 HumanNumber(s.mean()), HumanNumber(s.max()), HumanNumber(s.standard_deviation()),
                 Sparkline(s, invocation.out().utf8)});
    }
  }
  invocation.Print(table.Render(!invocation.quiet()));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Delete(Invocation& invocation) {
  v1::DeleteDatasetRequest request;
  ASSIGN_OR_RETURN(const std::string name,
                   ResolveDataset(invocation, invocation.args().Positional(0)));
  request.set_name(name);
  ASSIGN_OR_RETURN(const google::protobuf::Empty answer, invocation.Call(kDeleteDataset, request));
  if (invocation.json()) invocation.PrintJson(answer);
  invocation.Note(name + " is deleted\n");
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Download(Invocation& invocation) {
  v1::GetDatasetRequest get;
  ASSIGN_OR_RETURN(const std::string name,
                   ResolveDataset(invocation, invocation.args().Positional(0)));
  get.set_name(name);
  ASSIGN_OR_RETURN(const v1::Dataset dataset, invocation.Call(kGetDataset, get));
  const std::string path = invocation.args().Get("output", LastPart(dataset.display_name()));
  if (path.empty() || path[0] == '.') return UsageError("say where to: --output FILE");
  RETURN_IF_ERROR(DownloadDataset(invocation, dataset, path));
  if (invocation.json()) {
    invocation.PrintJson(dataset);
  } else {
    invocation.Print(path + "\n");
  }
  return ExitCode::kOk;
}

std::vector<Flag> UploadFlags() {
  return {
      {"name", "NAME", "What to call it (default: the file's name)"},
      {"join", "", "One dataset of all files: IDX or NPY, each a column"},
      {"format", "FORMAT",
       "csv, npy, npz, idx, hdf5, ts, libsvm, edge_list, text (default: by the bytes)"},
      {"header", "PRESENT", "CSV: present or absent (default: by the first row)"},
      {"delimiter", "CHARACTER", "CSV: default is the one of , ; and tab that fits"},
      {"missing", "TEXT", "CSV: a cell that means \"missing\"", Completion::kNone, true},
      {"columns", "A,B,...", "CSV without header, NPY, IDX: names of the columns"},
      {"type", "COLUMN=TYPE", "float64, int64, categorical, bool, ...", Completion::kNone, true},
  };
}

}  // namespace

std::vector<Command> DatasetCommands() {
  return {
      {.path = "dataset upload",
       .summary = "Upload files as datasets, unless they are there already",
       .positionals = {{.name = "FILE", .repeated = true, .completion = Completion::kFile}},
       .flags = UploadFlags(),
       .details =
           "Each file becomes a dataset, or with --join all of them one: images and labels.\n"
           "An upload that was cut off goes on where it was when you repeat the command.",
       .run = Upload},
      {.path = "dataset list",
       .summary = "List datasets, newest first",
       .positionals = {},
       .flags = {{"limit", "N", "At most so many (default 50)"}},
       .details = "",
       .run = List},
      {.path = "dataset describe",
       .summary = "Show the columns of a dataset and their statistics",
       .positionals = {{.name = "DATASET"}},
       .flags = {},
       .details = "DATASET is a name, or the first digits of its digest.",
       .run = Describe},
      {.path = "dataset download",
       .summary = "Download the bytes that were uploaded",
       .positionals = {{.name = "DATASET"}},
       .flags = {{"output", "FILE", "Where to (default: its name)", Completion::kFile}},
       .details = "",
       .run = Download},
      {.path = "dataset delete",
       .summary = "Delete a dataset that no active run uses (admins)",
       .positionals = {{.name = "DATASET"}},
       .flags = {},
       .details = "",
       .run = Delete},
  };
}

}  // namespace beamline::cli
