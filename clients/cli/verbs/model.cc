// model: what training leaves behind.

#include <algorithm>
#include <iostream>
#include <iterator>
#include <limits>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "clients/cli/download.h"
#include "clients/cli/format.h"
#include "clients/cli/invocation.h"
#include "clients/cli/json.h"
#include "clients/cli/references.h"
#include "clients/cli/rows.h"
#include "clients/cli/table.h"
#include "clients/cli/verbs/verbs.h"

namespace beamline::cli {
namespace {

constexpr size_t kRowsAtOnce = 1000;
// Of rows whose reconstructions come back.
constexpr size_t kReconstructed = 50;
// Tokens that the server writes in one call.
constexpr int64_t kMaxTokens = 10'000;
constexpr int64_t kMaxSamples = 1'000'000;
constexpr size_t kMaxRowsBytes = size_t{1} << 30;

// "higgs/3" of ".../models/higgs/versions/3".
std::string ShortName(const std::string& name) {
  const size_t models = name.find("/models/");
  const size_t versions = name.find("/versions/");
  if (models == std::string::npos || versions == std::string::npos) return name;
  return absl::StrCat(name.substr(models + 8, versions - models - 8), "/",
                      name.substr(versions + 10));
}

std::string MetricsText(const v1::Model& model) {
  std::string text;
  for (const auto& [step, evaluation] : std::map<std::string, v1::Evaluation>(
           model.evaluations().begin(), model.evaluations().end())) {
    for (const char* name : {"auc", "accuracy", "rmse", "r2", "log_loss"}) {
      const auto found = evaluation.metrics().find(name);
      if (found == evaluation.metrics().end()) continue;
      absl::StrAppendFormat(&text, "%s%s %.4f", text.empty() ? "" : ", ", name, found->second);
    }
  }
  return text;
}

absl::StatusOr<v1::Model> GetModel(Invocation& invocation) {
  v1::GetModelRequest request;
  ASSIGN_OR_RETURN(const std::string name,
                   ResolveModel(invocation, invocation.args().Positional(0)));
  request.set_name(name);
  return invocation.Call(kGetModel, request);
}

absl::StatusOr<ExitCode> List(Invocation& invocation) {
  ASSIGN_OR_RETURN(const int64_t limit, invocation.args().Integer("limit", 50, 1, 1'000'000));
  v1::ListModelsRequest request;
  ASSIGN_OR_RETURN(std::string parent, invocation.Project());
  if (const std::string name = invocation.args().Positional(0); !name.empty()) {
    ASSIGN_OR_RETURN(parent, invocation.Name("models", name));
  }
  request.set_parent(parent);
  Table table({{"MODEL"},
               {"METRICS"},
               {"PARAMETERS", Table::Align::kRight},
               {"SIZE", Table::Align::kRight},
               {"CREATED"},
               {"DIGEST"}});
  RETURN_IF_ERROR(
      invocation.ForEachPage(kListModels, request, limit, [&](const v1::ListModelsResponse& page) {
        for (const v1::Model& model : page.models()) {
          if (invocation.json()) invocation.PrintJsonLine(model);
          table.Add({ShortName(model.name()), MetricsText(model),
                     HumanCount(static_cast<double>(model.card().parameter_count())),
                     HumanBytes(model.file().size_bytes()),
                     RelativeTime(TimeOf(model.create_time()), invocation.Now()),
                     model.file().digest().substr(0, 12)});
        }
        return page.models_size();
      }));
  if (!invocation.json()) invocation.Print(table.Render(!invocation.quiet()));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Show(Invocation& invocation) {
  ASSIGN_OR_RETURN(const v1::Model model, GetModel(invocation));
  if (invocation.json()) {
    invocation.PrintJson(model);
    return ExitCode::kOk;
  }
  const v1::Lineage& lineage = model.lineage();
  Table table({{""}, {""}});
  table.Add({"model", model.name()});
  table.Add({"description", model.description()});
  table.Add({"digest", "sha256:" + model.file().digest()});
  table.Add({"size", HumanBytes(model.file().size_bytes())});
  table.Add({"parameters", HumanCount(static_cast<double>(model.card().parameter_count()))});
  table.Add({"target", model.card().target()});
  table.Add({"classes", absl::StrJoin(model.card().classes(), ", ")});
  table.Add({"created", absl::StrCat(RelativeTime(TimeOf(model.create_time()), invocation.Now()),
                                     " by ", LastPart(model.creator()))});
  table.Add({"run", absl::StrFormat("%s, step %s", lineage.run(), lineage.step())});
  table.Add({"pipeline",
             absl::StrFormat("%s version %d", lineage.pipeline(), lineage.pipeline_version())});
  table.Add({"trained in", absl::StrCat(HumanDuration(absl::Seconds(lineage.training_seconds())),
                                        " on ", lineage.hardware())});
  for (const auto& [input, digest] : std::map<std::string, std::string>(
           lineage.data_digests().begin(), lineage.data_digests().end())) {
    table.Add({"data " + input, "sha256:" + digest});
  }
  for (const auto& [step, evaluation] : model.evaluations()) {
    for (const auto& [name, value] :
         std::map<std::string, double>(evaluation.metrics().begin(), evaluation.metrics().end())) {
      table.Add({absl::StrCat(step, " ", name), absl::StrFormat("%.5f", value)});
    }
  }
  invocation.Print(table.Render(false));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Download(Invocation& invocation) {
  ASSIGN_OR_RETURN(const v1::Model model, GetModel(invocation));
  // Of a program the folder that it left.
  std::string default_path =
      ShortName(model.name()) + (model.card().learner().has_command() ? ".tar" : ".safetensors");
  std::ranges::replace(default_path, '/', '-');
  const std::string path = invocation.args().Get("output", default_path);
  ASSIGN_OR_RETURN(Connection* const server, invocation.Server());
  const std::unique_ptr<Stream> stream = server->Open(kDownloadModel.path);
  v1::DownloadModelRequest request;
  request.set_name(model.name());
  if (stream->Write(request)) stream->WritesDone();
  RETURN_IF_ERROR(DownloadTo<v1::DownloadModelResponse>(invocation, *stream, model.file(), path));
  if (invocation.json()) {
    invocation.PrintJson(model);
  } else {
    invocation.Print(path + "\n");
  }
  return ExitCode::kOk;
}

absl::StatusOr<std::vector<google::protobuf::Struct>> RowsToPredict(Invocation& invocation) {
  ASSIGN_OR_RETURN(const int64_t samples, invocation.args().Integer("samples", 0, 1, kMaxSamples));
  std::vector<google::protobuf::Struct> rows(static_cast<size_t>(samples));
  for (const std::string& json : invocation.args().All("row")) {
    ASSIGN_OR_RETURN(google::protobuf::Struct row, ParseRow(json, "--row"));
    rows.push_back(std::move(row));
  }
  if (const std::string path = invocation.args().Get("rows"); !path.empty()) {
    std::string text;
    if (path == "-") {
      text.assign(std::istreambuf_iterator<char>(std::cin), {});
    } else {
      ASSIGN_OR_RETURN(text, ReadFile(path, kMaxRowsBytes));
    }
    ASSIGN_OR_RETURN(auto more, ParseRows(text, path));
    std::ranges::move(more, std::back_inserter(rows));
  }
  if (rows.empty()) {
    return UsageError(
        "no rows: give --row '{\"column\": 1.5}' or --rows FILE (JSON lines or CSV; - for "
        "standard input); or --samples N for a model that generates");
  }
  return rows;
}

// Probability of the most probable class, which is the one that `label` names.
std::string ProbabilityText(const v1::Prediction& prediction) {
  if (prediction.probabilities().empty()) return "";
  return absl::StrFormat("%.4f", *std::ranges::max_element(prediction.probabilities()));
}

// How many rows from `first` on one call takes: rows of images are large.
size_t RowsOfCall(const std::vector<google::protobuf::Struct>& rows, size_t first, size_t most) {
  constexpr size_t kMaxCallBytes = size_t{2} << 20;
  size_t count = 0, bytes = 0;
  while (count < most && first + count < rows.size()) {
    bytes += rows[first + count].ByteSizeLong();
    if (count > 0 && bytes > kMaxCallBytes) break;
    ++count;
  }
  return count;
}

// Numbers as far as a line has room.
std::string NumbersText(const google::protobuf::RepeatedField<double>& numbers) {
  constexpr int kShown = 6;
  std::string text;
  for (int i = 0; i < std::min(numbers.size(), kShown); ++i) {
    absl::StrAppend(&text, i > 0 ? " " : "", HumanNumber(numbers[i], 6));
  }
  const int more = numbers.size() - kShown;
  if (more > 0) absl::StrAppend(&text, " ... (", more, " more: --json)");
  return text;
}

// What is said of each step, as far as a line has room.
std::string StepsText(const google::protobuf::RepeatedPtrField<v1::Prediction>& steps) {
  constexpr int kShown = 12;
  std::string text;
  for (int i = 0; i < std::min(steps.size(), kShown); ++i) {
    const v1::Prediction& step = steps[i];
    absl::StrAppend(&text, i > 0 ? " " : "",
                    step.label().empty() ? HumanNumber(step.value(), 6) : step.label());
  }
  const int more = steps.size() - kShown;
  if (more > 0) absl::StrAppend(&text, " ... (", more, " more: --json)");
  return text;
}

// `row`: its number, where the prediction does not say of which graph it is.
std::vector<std::string> PredictionCells(const v1::Prediction& prediction, size_t row) {
  const std::string of = prediction.graph().empty() ? absl::StrCat(row) : prediction.graph();
  for (const auto* numbers : {&prediction.forecast(), &prediction.embedding()}) {
    if (!numbers->empty()) return {of, NumbersText(*numbers), ""};
  }
  if (!prediction.steps().empty()) return {of, StepsText(prediction.steps()), ""};
  if (!prediction.probabilities().empty()) {
    return {of, prediction.label(), ProbabilityText(prediction)};
  }
  return {of, HumanNumber(prediction.value(), 6), ""};
}

// How a model of text is to write on.
absl::Status ReadDrawing(const Arguments& args, v1::PredictRequest* request) {
  ASSIGN_OR_RETURN(const int64_t tokens, args.Integer("tokens", 0, 1, kMaxTokens));
  ASSIGN_OR_RETURN(const int64_t seed,
                   args.Integer("seed", 0, 0, std::numeric_limits<int64_t>::max()));
  request->set_tokens(static_cast<int32_t>(tokens));
  request->set_seed(static_cast<uint64_t>(seed));
  for (const char* flag : {"temperature", "seed"}) {
    if (args.Has(flag) && tokens == 0) {
      return UsageError(absl::StrFormat("--%s is for --tokens: give both", flag));
    }
  }
  if (!args.Has("temperature")) return absl::OkStatus();
  double temperature = 0;
  if (!absl::SimpleAtod(args.Get("temperature"), &temperature)) {
    return UsageError(absl::StrFormat("--temperature is \"%s\"; give a number, such as 0.8",
                                      args.Get("temperature")));
  }
  request->set_temperature(temperature);
  return absl::OkStatus();
}

// Arcs between the rows, which are nodes.
absl::Status ReadArcs(const Invocation& invocation, v1::PredictRequest* request) {
  const std::string path = invocation.args().Get("arcs");
  if (path.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxRowsBytes));
  ASSIGN_OR_RETURN(auto arcs, ParseRows(text, path));
  for (google::protobuf::Struct& arc : arcs) *request->add_arcs() = std::move(arc);
  return absl::OkStatus();
}

// Rows that one call answers.
size_t RowsAtOnce(const v1::PredictRequest& request) {
  if (request.reconstruction()) return kReconstructed;
  if (request.tokens() == 0) return kRowsAtOnce;
  return static_cast<size_t>(std::max<int64_t>(kMaxTokens / request.tokens(), 1));
}

absl::StatusOr<ExitCode> Predict(Invocation& invocation) {
  ASSIGN_OR_RETURN(const auto rows, RowsToPredict(invocation));
  v1::PredictRequest request;
  ASSIGN_OR_RETURN(const std::string name,
                   ResolveModel(invocation, invocation.args().Positional(0)));
  request.set_name(name);
  RETURN_IF_ERROR(ReadDrawing(invocation.args(), &request));
  ASSIGN_OR_RETURN(const int64_t first_sample,
                   invocation.args().Integer("first", 0, 0, int64_t{1} << 40));
  RETURN_IF_ERROR(ReadArcs(invocation, &request));
  const bool samples = invocation.args().Has("samples");
  const bool reconstruction = invocation.args().Has("reconstruction");
  request.set_reconstruction(reconstruction);
  if (reconstruction && !invocation.json()) {
    return UsageError("--reconstruction gives many numbers a row: add --json");
  }
  if (samples && !invocation.json()) {
    return UsageError("--samples gives many numbers a row: add --json");
  }
  constexpr auto kRight = Table::Align::kRight;
  Table predicted({{"ROW", kRight}, {"PREDICTION", kRight}, {"PROBABILITY", kRight}});
  Table reconstructed({{"ROW", kRight}, {"RECONSTRUCTION ERROR", kRight}});
  bool reconstructs = false;
  std::string text;
  for (size_t first = 0; first < rows.size(); first += static_cast<size_t>(request.rows_size())) {
    request.clear_rows();
    const size_t count =
        request.arcs().empty()
            ? RowsOfCall(rows, first, samples ? kReconstructed : RowsAtOnce(request))
            : rows.size();
    if (first_sample > 0 || samples) {
      request.set_first_sample(first_sample + static_cast<int64_t>(first));
    }
    for (size_t i = first; i < first + count; ++i) *request.add_rows() = rows[i];
    ASSIGN_OR_RETURN(const v1::PredictResponse response, invocation.Call(kPredict, request));
    // All rows are for one version, even if another is published meanwhile.
    if (!response.model().empty()) request.set_name(response.model());
    for (int i = 0; i < response.predictions_size(); ++i) {
      const v1::Prediction& prediction = response.predictions(i);
      const size_t row = first + static_cast<size_t>(i) + 1;
      if (invocation.json()) invocation.PrintJsonLine(prediction);
      reconstructs = reconstructs || prediction.has_reconstruction_error();
      predicted.Add(PredictionCells(prediction, row));
      // What is near is a list, and no text.
      const char* between = prediction.embedding().empty() ? "" : " ";
      text += absl::StrCat(absl::StrJoin(prediction.tokens(), between), "\n");
      reconstructed.Add({absl::StrCat(row), HumanNumber(prediction.reconstruction_error(), 6)});
    }
  }
  if (request.tokens() > 0) {
    if (!invocation.json()) invocation.Print(text);
  } else if (!invocation.json()) {
    invocation.Print((reconstructs ? reconstructed : predicted).Render(!invocation.quiet()));
  }
  return ExitCode::kOk;
}

}  // namespace

std::vector<Command> ModelCommands() {
  const Positional model = {.name = "MODEL"};
  const std::string naming = "MODEL is a name (its latest version), or NAME/VERSION.";
  return {
      {.path = "model list",
       .summary = "List models: the latest version of each, or all of one",
       .positionals = {{.name = "MODEL", .optional = true}},
       .flags = {{"limit", "N", "At most so many (default 50)"}},
       .details = "",
       .run = List},
      {.path = "model show",
       .summary = "Show a model, its metrics and where it came from",
       .positionals = {model},
       .flags = {},
       .details = naming,
       .run = Show},
      {.path = "model download",
       .summary = "Download the weights (safetensors; of a program its folder, tar)",
       .positionals = {model},
       .flags = {{"output", "FILE", "Where to (default: NAME-VERSION.safetensors or .tar)",
                  Completion::kFile}},
       .details = naming,
       .run = Download},
      {.path = "model predict",
       .summary = "Ask a model for predictions",
       .positionals = {model},
       .flags = {{"row", "JSON", "One row: '{\"pt1\": 3.2, \"jet\": \"b\"}'", Completion::kNone,
                  true},
                 {"rows", "FILE", "Rows as JSON lines or CSV; - for standard input",
                  Completion::kFile},
                 {"arcs", "FILE", "Of a model of graphs: the arcs between the rows, as --rows",
                  Completion::kFile},
                 {"reconstruction", "", "With --json: what an autoencoder makes of each row"},
                 {"tokens", "N",
                  "Of a model of text: write N tokens behind each row; of word "
                  "vectors: the N nearest"},
                 {"temperature", "T", "With --tokens: how bold, from 0 (default 1)"},
                 {"seed", "N", "With --tokens: the same seed, the same text (default 0)"},
                 {"samples", "N", "With --json: so many rows of a model that generates"},
                 {"first", "N", "Number of the first sample; the same gives the same (default 0)"}},
       .details = naming +
                  "\nA row of a model of windows or sequences has a list for each column, "
                  "with a value for\n"
                  "each step; a text stands for the list of its characters. Rows of a model of "
                  "graphs name\n"
                  "nodes of the training's graph; or, with --arcs, they are the nodes of another "
                  "one, all in\n"
                  "one call: at most 10,000 rows and 4 MiB.",
       .run = Predict},
  };
}

}  // namespace beamline::cli
