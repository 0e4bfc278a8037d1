// Windows and sequences: what a network learns from at once.
#include "absl/strings/str_cat.h"
#include "pipeline/examples.h"
#include "pipeline/network.h"
#include "pipeline/node_pairs.h"
#include "pipeline/schema.h"
#include "pipeline/text_value.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

constexpr double kMaxSteps = 65536;

void CheckWindows(Context& context, const std::string& path, const v1::TrainingData& data,
                  const v1::Dataset* dataset) {
  const v1::Windows& windows = data.windows();
  const std::string at = path + ".windows";
  CheckRange(context, at + ".steps", static_cast<double>(windows.steps()), 1, kMaxSteps, false);
  CheckRange(context, at + ".stride", static_cast<double>(windows.stride()), 1, 1e12);
  CheckRange(context, at + ".horizon", static_cast<double>(windows.horizon()), 1, kMaxSteps);
  if (windows.horizon() != 0 && !Forecasts(data)) {
    context.errors.Add(at + ".horizon", "is for objective: forecast: remove it");
  }
  const v1::Split& split = data.split();
  const bool in_order = split.kind_case() == v1::Split::KIND_NOT_SET || split.has_ordered() ||
                        (split.has_input() && split.input().validation() == 0);
  if (!in_order) {
    context.errors.Add(path + ".split",
                       "mixes rows that follow each other: windows need ordered, or an input for "
                       "the test without validation rows");
  }
  if (data.has_train_on()) {
    context.errors.Add(path + ".train_on", "breaks rows that follow each other: remove it");
  }
  const int64_t span = ShapeOf(data).span;
  if (dataset != nullptr && IsMeasured(*dataset) && windows.steps() > 0 &&
      dataset->row_count() < span) {
    context.errors.Add(at, absl::StrCat("cover ", span, " rows each, but the table has ",
                                        dataset->row_count(), ": use fewer steps"));
  }
}

void CheckSequences(Context& context, const std::string& path, const v1::TrainingData& data,
                    const v1::Dataset* dataset) {
  const v1::Sequences& sequences = data.sequences();
  const std::string at = path + ".sequences";
  CheckRange(context, at + ".max_steps", static_cast<double>(sequences.max_steps()), 1, kMaxSteps,
             false);
  if (Reconstructs(data)) {
    context.errors.Add(at,
                       "are of different lengths, so that the network would learn to reconstruct "
                       "their padding: use windows");
  }
  if (sequences.by().empty()) {
    context.errors.Add(at + ".by", "is missing: name the column that tells sequences apart");
    return;
  }
  if (sequences.by() == data.target() || sequences.by() == data.weight()) {
    context.errors.Add(
        at + ".by", absl::StrCat("is the ", sequences.by() == data.target() ? "target" : "weight",
                                 ": name the column that tells sequences apart"));
  }
  if (dataset == nullptr) return;
  const v1::Column* column = CheckColumn(context, at + ".by", *dataset, sequences.by());
  if (column == nullptr) return;
  if (column->item_shape_size() > 0) {
    context.errors.Add(at + ".by", absl::StrCat("column \"", column->name(),
                                                "\" holds several numbers a row: sequences are "
                                                "told apart by a single value"));
  } else if (column->statistics().missing() > 0) {
    context.errors.Add(at + ".by", absl::StrCat("column \"", column->name(), "\" has ",
                                                column->statistics().missing(),
                                                " missing values: nobody knows whose steps those "
                                                "rows are"));
  }
}

// A column that is named or not; it must have one value a row.
void CheckNameColumn(Context& context, const std::string& path, const v1::Dataset* dataset,
                     const std::string& name) {
  if (name.empty() || dataset == nullptr) return;
  const v1::Column* column = CheckColumn(context, path, *dataset, name);
  if (column == nullptr) return;
  if (column->item_shape_size() > 0) {
    context.errors.Add(path, absl::StrCat("column \"", name,
                                          "\" holds several numbers a row: "
                                          "nodes and graphs are named by a single value"));
  } else if (column->statistics().missing() > 0) {
    context.errors.Add(path, absl::StrCat("column \"", name, "\" has ",
                                          column->statistics().missing(), " missing values"));
  }
}

void CheckNodes(Context& context, const std::string& path, const v1::TrainingData& data,
                const v1::Dataset* dataset) {
  const v1::NodeGraph& graph = data.graph();
  const std::string at = path + ".graph";
  const auto arcs = context.inputs.find(graph.arcs());
  if (graph.arcs().empty()) {
    context.errors.Add(at + ".arcs", "is missing: name the input with the arcs");
  } else if (arcs == context.inputs.end()) {
    context.errors.Add(at + ".arcs", absl::StrCat("there is no input \"", graph.arcs(), "\"",
                                                  Hint(graph.arcs(), context.InputNames())));
  } else if (arcs->second != nullptr) {
    CheckNameColumn(context, at + ".from", arcs->second, graph.from());
    CheckNameColumn(context, at + ".to", arcs->second, graph.to());
    if (arcs->second->columns_size() < 2) {
      context.errors.Add(at + ".arcs", "has one column only: arcs have two, from and to");
    }
  }
  CheckNameColumn(context, at + ".node", dataset, graph.node());
  CheckNameColumn(context, at + ".member", dataset, graph.member());
  if (!HasTarget(data)) {
    context.errors.Add(path + ".objective", "is for rows and windows: a graph needs a target");
  }
  if (data.split().has_input()) {
    context.errors.Add(path + ".split.input",
                       "gives rows that are no nodes of the graph: use random, stratified or "
                       "column");
  }
}

void CheckMasking(Context& context, const std::string& path, const v1::TrainingData& data) {
  const v1::Masking& masking = data.masking();
  const std::string at = path + ".masking";
  if (!GuessesHidden(data)) context.errors.Add(at, "is for objective: masked: remove it");
  CheckRange(context, at + ".share", masking.share(), 1e-6, 1);
  const engine::MaskingSpec spec = MaskingOf(data);
  if (!(spec.masked >= 0 && spec.random >= 0 && spec.masked + spec.random <= 1)) {
    context.errors.Add(
        at, absl::StrCat("hides ", NumberText(spec.masked), " and changes ",
                         NumberText(spec.random), " of what is chosen: together at most 1"));
  }
}

}  // namespace

void CheckPairs(Context& context, const std::string& path, const v1::TrainingData& data) {
  const std::string why = "is of nodes, but examples are pairs of them (graph.pairs): remove it";
  if (!data.target().empty()) {
    context.errors.Add(path + ".target",
                       "must not be given with graph.pairs, which learns whether an arc is there: "
                       "remove it, or remove pairs to learn about nodes");
  }
  if (data.target_kind() != v1::TARGET_KIND_UNSPECIFIED) {
    context.errors.Add(path + ".target_kind",
                       "is for targets, but graph.pairs has none: remove it");
  }
  if (!data.weight().empty()) context.errors.Add(path + ".weight", why);
  if (data.has_train_on()) context.errors.Add(path + ".train_on", why);
  if (data.limit() != 0) context.errors.Add(path + ".limit", why);
  if (!data.graph().member().empty()) {
    context.errors.Add(path + ".graph.member",
                       "makes examples of small graphs, and pairs of pairs of nodes: remove one");
  }
  const bool random =
      data.split().kind_case() == v1::Split::KIND_NOT_SET || data.split().has_random();
  if (!random && !data.split().has_input()) {
    context.errors.Add(path + ".split",
                       "is of nodes, but what graph.pairs splits are arcs: use random");
  }
}

void CheckPairFolds(Context& context, const std::string& path, const v1::Step& step) {
  if (!LearnsPairs(step.train().data()) || !step.has_cross_validation()) return;
  context.unimplemented.Add(path + ".cross_validation",
                            "folds of arcs (graph.pairs) are not built yet");
}

void CheckExamples(Context& context, const std::string& path, const v1::TrainingData& data,
                   const v1::Dataset* dataset) {
  if (data.has_masking()) CheckMasking(context, path, data);
  if (Translates(data)) return;  // CheckTexts has looked.
  if (data.has_translation()) {
    context.errors.Add(path + ".translation", "is for objective: translate: remove it");
  }
  if (data.has_windows()) {
    CheckWindows(context, path, data, dataset);
  } else if (ReadsTokens(data) || Forecasts(data)) {
    context.errors.Add(path + ".windows",
                       "are missing: say how many rows the network sees at once, such as "
                       "\"windows: {steps: 96}\"");
  }
  if (JudgesEachStep(data) && !data.has_windows() && !data.has_sequences()) {
    context.errors.Add(path + ".objective",
                       "each_step is for windows and sequences: give one of them, such as "
                       "\"sequences: {by: patient, max_steps: 100}\"");
  }
  if (data.has_sequences()) CheckSequences(context, path, data, dataset);
  if (data.has_graph()) CheckNodes(context, path, data, dataset);
}

void CheckExampleCodes(Context& context, const std::string& path, const v1::TrainingData& data,
                       const FeatureFacts& facts) {
  if (ReadsTokens(data)) {
    if (facts.features + facts.code_columns == 0) return;  // Not known.
    if (facts.features == 0 && facts.code_columns == 1) return;
    context.errors.Add(path, absl::StrCat("objective: ",
                                          GivesNextToken(data) ? "next_token"
                                          : EmbedsTokens(data) ? "embed"
                                                               : "masked",
                                          " learns from one column that is "
                                          "encoded by ordinal, but there are ",
                                          facts.code_columns, " of them and ", facts.features,
                                          " numbers: name the column in features"));
    return;
  }
  if (data.has_graph() && facts.code_columns > 0) {
    context.errors.Add(path + ".transforms",
                       "nodes have numbers only: encode categories by one_hot, not by ordinal");
  } else if (Forecasts(data) && facts.code_columns > 0) {
    context.errors.Add(path + ".transforms",
                       "objective: forecast predicts numbers: encode categories by one_hot, not "
                       "by ordinal");
  } else if ((data.has_windows() || data.has_sequences()) && facts.code_columns > 1) {
    context.errors.Add(path + ".transforms",
                       absl::StrCat("ordinal makes ", facts.code_columns,
                                    " codes of each step, and layers read one: encode the other "
                                    "columns by one_hot"));
  }
}

}  // namespace beamline::pipeline::validation
