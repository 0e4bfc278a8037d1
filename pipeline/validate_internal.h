// What the parts of the validation share. Only for the files validate*.cc.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/memory_limit.h"
#include "pipeline/plan/example_counts.h"
#include "pipeline/validate.h"
#include "pipeline/violation.h"

namespace beamline::pipeline::validation {

// One validation under way.
struct Context {
  const v1::PipelineDefinition& definition;
  Violations errors;
  Violations unimplemented;
  // Steps by name, the first of each.
  std::map<std::string, const v1::Step*> steps;
  // Inputs and steps that make tables, by name; null where the schema is not known.
  std::map<std::string, const v1::Dataset*> inputs;
  // As in ValidateOptions.
  bool for_run = false;
  // What prepare steps make, by their names: inputs too.
  std::map<std::string, v1::Dataset> prepared;
  // As in ValidateOptions.
  Findings* findings = nullptr;

  std::vector<std::string> StepNames() const;
  std::vector<std::string> InputNames() const;
  // The step of that name if it is a train step, else null.
  const v1::TrainStep* FindTrain(const std::string& name) const;
};

// What is known of the target of a train step.
struct TargetFacts {
  // False: nothing below is known.
  bool known = false;
  bool is_class = false;
  // 0: not known.
  int64_t classes = 0;
  // Names of classes as they are written, if all are known.
  std::vector<std::string> class_names;
  // There is no target: the features are to be reconstructed, those of later rows or tokens
  // are to be predicted. `known`, and no class.
  bool reconstructs = false;
  bool forecasts = false;
  bool tokens = false;
  // There is no target: tokens get vectors. `known`, and no class.
  bool token_vectors = false;
  // Those tokens are of a text that is told from another.
  bool translates = false;
  // The loss compares rows: the outputs are embeddings of any width.
  bool embeds = false;
  // There is no target: rows like those of the data are to be generated. `known`, and no class.
  bool generates = false;
  // Width that a network must end in whatever its loss says, and why; 0: the loss decides.
  int64_t outputs = 0;
  std::string outputs_why;
  // Where a model is measured: its rows are labelled as anomalies or not.
  bool anomalies = false;
};

// Numbers and codes that the network sees of a row of the table; 0 if not known.
struct FeatureFacts {
  // False: what a column is encoded to depends on values that are not known yet.
  bool known = true;
  int64_t features = 0;
  int64_t code_columns = 0;
  // Categories of each code column, one for unknown ones included.
  std::vector<int64_t> code_sizes;
  // Codes of a text and of the one that is told from it, with its end; 0 for other objectives. They
  // and code_sizes are estimates where the definition leaves them out.
  int64_t source_steps = 0;
  int64_t target_steps = 0;
  // Nothing is known of the table: code_sizes are no more than the least.
  bool assumed = false;
};

TargetFacts FactsOfTarget(const Context& context, const v1::TrainStep& train);

// The dataset of an input; an error if there is no such input. Null if its schema is not known.
const v1::Dataset* CheckInput(Context& context, const std::string& path, const std::string& name);
// The rows that another input gives must have the columns that the model needs, and if they are
// `judged` the target and the weight.
void CheckOtherInput(Context& context, const std::string& path, const v1::Dataset& other,
                     const v1::TrainingData& data, const v1::Dataset& dataset, bool judged = true);

// Each adds what is wrong with one part of a definition; `path` is the part's field path.
FeatureFacts CheckData(Context& context, const std::string& path, const v1::TrainStep& train,
                       const TargetFacts& target);
// What data says of the target if there is none, of pairs of nodes, of windows and sequences, and
// of the rows to learn from.
void CheckNoTarget(Context& context, const std::string& path, const v1::TrainingData& data);
void CheckPairs(Context& context, const std::string& path, const v1::TrainingData& data);
void CheckPairFolds(Context& context, const std::string& path, const v1::Step& step);
void CheckExamples(Context& context, const std::string& path, const v1::TrainingData& data,
                   const v1::Dataset* dataset);
// The same, once it is known what the transforms make of the columns.
void CheckExampleCodes(Context& context, const std::string& path, const v1::TrainingData& data,
                       const FeatureFacts& facts);
void CheckRows(Context& context, const std::string& path, const v1::TrainingData& data,
               const v1::Dataset* dataset);
// Data with objective translate, in place of target and transforms; and the layers of its network.
void CheckTexts(Context& context, const std::string& path, const v1::TrainingData& data,
                const v1::Dataset* dataset, FeatureFacts* facts);
void CheckTranslationLayers(Context& context, const std::string& path, const v1::TrainStep& train);
// `train` is null for a registered model; `dataset` has the rows to be measured, null if not known.
void CheckAnomaly(Context& context, const std::string& path, const v1::EvaluateStep& evaluate,
                  const v1::TrainStep* train, const v1::Dataset* dataset);
void CheckSplit(Context& context, const std::string& path, const v1::TrainingData& data,
                const v1::Dataset* dataset, const TargetFacts& target);
// Returns whether the transforms are all right in themselves.
void CheckTransforms(Context& context, const std::string& path, const v1::TrainingData& data,
                     const v1::Dataset* dataset, FeatureFacts* facts);
// How many examples a step will have, as far as its tables are known.
ExampleCounts CountsOf(const Context& context, const v1::Step& step);
// Adds an error at `path`.batch_size: training needs more than there is. `fitting`: a batch size
// that does not; 0: none.
void AddMemoryError(Context& context, const std::string& path, int64_t needed_bytes,
                    int64_t fitting, const MemoryLimit& memory);
void CheckNetwork(Context& context, const std::string& path, const v1::TrainStep& train,
                  const TargetFacts& target, const FeatureFacts& features,
                  const MemoryLimit& memory);
// The layers alone. Numbers that training learns, as far as widths are known.
double CheckLayers(Context& context, const std::string& path, const v1::TrainStep& train,
                   const TargetFacts& target, const FeatureFacts& features);
// Of a train step with an adversarial learner.
void CheckAdversarial(Context& context, const std::string& path, const v1::TrainStep& train,
                      const FeatureFacts& features);
// Its graphs; only to be called if nothing else is wrong with the step.
void CheckAdversarialGraph(Context& context, const std::string& path, const v1::Step& step,
                           const FeatureFacts& features, const MemoryLimit& memory);
// What its data says of a target.
void CheckGeneration(Context& context, const std::string& path, const v1::TrainingData& data);
// Of a train step with a learner that is no network (learners/registry.h).
void CheckOtherLearner(Context& context, const std::string& path, const v1::Step& step,
                       const TargetFacts& target, const FeatureFacts& features,
                       const MemoryLimit& memory);
// A layer of a network, and what it takes.
struct LayerPlace {
  std::string at;  // its field path
  const v1::Layer& layer;
  // Extent of the last axis of each input; 0 where it is not known. At least one.
  const std::vector<int64_t>& inputs;
  bool last = false;
  // Units that the loss needs of the last layer; 0 if not known.
  int64_t default_units = 0;
  // Capsules that a layer of them before it has; 0 if not known.
  int64_t capsules = 0;
};
struct LayerFacts {
  // Extent of the output's last axis; 0: not known.
  int64_t width = 0;
  // Numbers that training learns, as far as widths are known.
  double parameters = 0;
  // As LayerPlace::capsules.
  int64_t capsules = 0;
};
// Adds what is wrong with the layer's own numbers.
LayerFacts CheckLayerNumbers(Context& context, const LayerPlace& place);
// Of convolutions, pools and group norm.
LayerFacts CheckConvLayer(Context& context, const LayerPlace& place);
// One number for all axes, or one per axis: an extent, which must be there, or a step.
void CheckExtent(Context& context, const std::string& path,
                 const google::protobuf::RepeatedField<int32_t>& numbers);
void CheckPerAxis(Context& context, const std::string& path,
                  const google::protobuf::RepeatedField<int32_t>& numbers, double least);
// Of capsules.
LayerFacts CheckCapsuleLayer(Context& context, const LayerPlace& place);
// Of attention, positions and slices.
LayerFacts CheckAttentionLayer(Context& context, const LayerPlace& place);
// Builds the graph; only to be called if nothing else is wrong with the step.
void CheckGraph(Context& context, const std::string& path, const v1::Step& step,
                const TargetFacts& target, const FeatureFacts& features, const MemoryLimit& memory);
void CheckOptimizer(Context& context, const std::string& path, const v1::NetworkLearner& network);
// Clipping, penalties and averages of weights, and what of the schedule needs validation rows.
void CheckSteering(Context& context, const std::string& path, const v1::TrainStep& train);
// A metric by name, for such a target; "loss" is one only where `allow_loss`.
void CheckMetric(Context& context, const std::string& path, const std::string& name,
                 const TargetFacts& target, bool allow_loss);

// Adds the tables that steps make to the inputs, as far as their columns are known, and what is
// wrong with the prepare steps.
void CheckTableSteps(Context& context, const ValidateOptions& options);
void CheckTrain(Context& context, const std::string& path, const v1::Step& step);
void CheckEvaluate(Context& context, const std::string& path, const v1::Step& step);
void CheckPredict(Context& context, const std::string& path, const v1::Step& step);
// Model and rows of an evaluate or predict step.
struct AskedModel {
  // Null: a registered model, or none.
  const v1::TrainStep* train = nullptr;
  // The rows of its `input`; null if it has none or they are not known.
  const v1::Dataset* dataset = nullptr;
};
AskedModel CheckModelUse(Context& context, const std::string& path, const v1::Step& step);
// Search and cross-validation of a step, in themselves.
void CheckRepetition(Context& context, const std::string& path, const v1::Step& step);
void CheckCrossValidation(Context& context, const std::string& path, const v1::Step& step,
                          const TargetFacts& target);
// The values of one key; `grid`: the search needs a finite number of them. Conditions of all keys:
// they name other keys, and none depends on itself.
void CheckSpace(Context& context, const std::string& path, const v1::Space& space, bool grid);
void CheckConditions(Context& context, const std::string& path, const v1::Search& search);
// A step that is trained as a population; whether a training that began as `before` can go on as
// `after`. `with` says what leads from one to the other.
void CheckPopulation(Context& context, const std::string& path, const v1::Step& step);
bool CheckCourse(Context& context, const std::string& path, const std::string& with,
                 const v1::TrainStep& before, const v1::TrainStep& after);
// Whether the definition is right with each value of each search; only to be called if it is
// without.
void CheckSearchedValues(Context& context, const ValidateOptions& options);
// A scaling study in itself; and whether its training is right with each value of each key, only to
// be called if nothing else is wrong.
void CheckStudy(Context& context, const std::string& path, const v1::Step& step);
bool OnlyStudiedValuesAreWrong(const Context& context);
void CheckStudiedValues(Context& context, const ValidateOptions& options);
// The user's own program, in itself; a step that runs one.
void CheckProgram(Context& context, const std::string& path, const v1::Program& program);
void CheckCommand(Context& context, const std::string& path, const v1::CommandStep& command);
void CheckPublish(Context& context, const std::string& path, const v1::PublishStep& publish);

// Adds an error unless `low` <= value <= `high`, or value is 0 and stands for the default.
void CheckRange(Context& context, const std::string& path, double value, double low, double high,
                bool zero_is_default = true);
// Adds an error, with the nearest name, unless `name` is a column.
const v1::Column* CheckColumn(Context& context, const std::string& path, const v1::Dataset& dataset,
                              const std::string& name);

}  // namespace beamline::pipeline::validation
