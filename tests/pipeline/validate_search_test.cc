// Searches and cross-validation.
#include "tests/pipeline/validate_fixture.h"

namespace beamline::pipeline {
namespace {

using testing::ValidateTest;

struct Case {
  std::string changes;
  std::string errors;
};

constexpr char kGood[] =
    "steps.train.search: {random: {trials: 4}, space: {train.network.epochs: {integer: {min: 1, "
    "max: 3}}}}";

std::string Search(const std::string& search) { return "steps.train.search: " + search; }
std::string Space(const std::string& space) {
  return Search("{random: {trials: 4}, space: " + space + "}");
}

TEST_F(ValidateTest, AcceptsSearchesAndFolds) {
  for (const std::string& good : {
           std::string(kGood),
           Search("{grid: {}, space: {train.network.epochs: {choice: [1, 2]}}}"),
           Search("{sobol: {trials: 8}, objective: accuracy, space: "
                  "{train.network.optimizer.adam.learning_rate: {log_uniform: {min: 1e-4, max: "
                  "0.1}}}}"),
           Search("{hyperband: {}, space: {train.network.batch_size: {log_integer: {min: 8, max: "
                  "64}}}}"),
           Search("{tpe: {trials: 20, lag: 8}, max_parallel: 3, max_seconds: 1 h, space: "
                  "{train.network.optimizer: {choice: [{adam: {}}, {sgd: {learning_rate: 0.1}}]}, "
                  "train.network.optimizer.sgd.momentum: {uniform: {min: 0, max: 0.9}, when: "
                  "{train.network.optimizer: [{sgd: {learning_rate: 0.1}}]}}, "
                  "train.network.batch_size: {choice: [8, 16]}}}"),
           std::string("steps.train.cross_validation: {k_fold: {folds: 5, repeats: 2}}"),
           std::string("steps.train.cross_validation: {stratified: {folds: 5}}"),
           std::string("steps.train.cross_validation: {time_series: {folds: 5}}"),
       }) {
    EXPECT_EQ(Check(good) + unimplemented_, "") << good;
  }
}

TEST_F(ValidateTest, RefusesSearchesThatCannotRun) {
  const std::string at = "steps.train.search";
  const std::string epochs = at + ".space.train.network.epochs";
  const Case cases[] = {
      {Search("{space: {train.network.epochs: {choice: [1]}}}"),
       at + ": does not say how to search: give one of grid, "},
      {Search("{random: {trials: 2000}, space: {train.network.epochs: {choice: [1]}}}"),
       at + ".random.trials: must be from 1 to 1000, not 2000"},
      {Search("{random: {trials: 2}}"), at + ".space: has 0 keys: give 1 to 64"},
      {Search("{hyperband: {min_epochs: 99}, space: {train.network.epochs: {choice: [1]}}}"),
       at + ".hyperband.min_epochs: must be from 1 to below 10, the epochs of the step, not 99"},
      {Space("{train.command.program.arguments: {choice: [[sh, -c, id]]}}"),
       at + ".space.train.command.program.arguments: with "},
      {Space("{train.linear.penalty: {choice: [1]}}"),
       at + ".space.train.linear.penalty: with 1: another learner takes the step's place"},
      {Space("{train.network.epochs: {}}"), epochs + ": does not say which values: give one of"},
      {Space("{train.network.epochs: {choice: []}}"),
       epochs + ".choice: is empty: list the values to be tried"},
      {Space("{train.network.epochs: {integer: {min: 3, max: 1}}}"),
       epochs + ".integer: needs min < max, not 3 and 1"},
      {Space("{train.network.epochs: {integer: {min: 0.5, max: 1}}}"),
       epochs + ".integer: needs whole numbers as min and max"},
      {Space("{train.network.epochs: {log_uniform: {min: 0, max: 1}}}"),
       epochs + ".log_uniform.min: must be above 0 where the scale is logarithmic"},
      {Search("{grid: {}, space: {train.network.epochs: {uniform: {min: 1, max: 2}}}}"),
       epochs + ".uniform: a grid needs to know which values: give points or step"},
      {Search("{grid: {}, space: {train.network.epochs: {integer: {min: 1, max: 2000}}}}"),
       at + ".grid: has more than 1000 combinations: list fewer values, or use sobol or tpe"},
      {Search("{hyperband: {}, space: {train.network.batch_size: {choice: [8]}}}") +
           "\nsteps.train.train.network.epochs: 1000",
       at + ".hyperband: makes more than 1000 trials: raise min_epochs, or set max_epochs"},
      {Space("{train.network.epochs: {uniform: {min: 1, max: 2, points: 3}}}"),
       epochs + ".uniform.points: is for a grid: other searches draw any value"},
      {Search("{successive_halving: {trials: 4}, space: {train.network.epochs: {choice: [1]}}}"),
       epochs + ": epochs are what this search deals out: leave them to it"},
      {Space("{train.network.epochs: {uniform: {min: 1, max: 1e30}}}"),
       epochs + ".uniform: needs min and max between -1e15 and 1e15"},
      {Space("{resources.cpus: {choice: [1, 2]}}"),
       at + ".space.resources.cpus: leads to \"steps.train.resources.cpus\": only what is below "
            "train of the step itself can be searched"},
      {Space("{train.network.epochs: {choice: [1], when: {train.network.batch: [1]}}}"),
       epochs + ".when.train.network.batch: is no key of the space"},
      {Space("{train.network.epochs: {choice: [1], when: {train.network.batch_size: [1]}}, "
             "train.network.batch_size: {choice: [1], when: {train.network.epochs: [1]}}}"),
       at + ".space.train.network.batch_size.when: depends on itself"},
      {Search("{random: {trials: 2}, objective: rmse, space: {train.network.epochs: {choice: "
              "[1]}}}"),
       at + ".objective: \"rmse\" is for numbers, but the target is classes"},
      {"steps.evaluate.search: {grid: {}}", "steps.evaluate.search: is for train steps only"},
  };
  for (const Case& test : cases) {
    const std::string errors = Check(test.changes);
    EXPECT_EQ(errors.substr(0, test.errors.size()), test.errors) << test.changes;
  }
}

TEST_F(ValidateTest, APopulationSearchesForWhatCanChange) {
  const std::string stopping = "        early_stopping: {metric: accuracy}\n";
  std::string base(testing::kBase);
  base.replace(base.find(stopping), stopping.size(), "");
  const std::string at = "steps.train.search";
  const std::string rate =
      "train.network.optimizer.adam.learning_rate: {uniform: {min: 0.1, max: 0.2}}";
  const auto population = [&](const std::string& fields, const std::string& space) {
    return Search("{population: {" + fields + "}, space: {" + space + "}}");
  };
  const std::string fine = "population: 8, generations: 5";
  const Case cases[] = {
      {population("population: 1, generations: 5", rate),
       at + ".population.population: must be from 2 to 1000, not 1"},
      {population("population: 8, generations: 11", rate),
       at + ".population.generations: must be from 2 to 10, the epochs of the step"},
      {population("population: 8", rate), at + ".population.generations: must be from 2 to 10"},
      {population("population: 600, generations: 10", rate),
       at + ".population: makes 600 trainings in each of 10 generations, 6000 in all: at most 5000 "
            "are possible, lower one of the two"},
      {population(fine + ", replaced: 0.6", rate),
       at + ".population.replaced: must be above 0 and at most 0.5"},
      {population(fine + ", resample: 1.5", rate),
       at + ".population.resample: must be from 0 to 1"},
      {population(fine, rate) + "\nsteps.train.cross_validation: {k_fold: {folds: 3}}",
       at + ".population: finds a course of values"},
      {population(fine, rate) + "\nsteps.train.train.network.early_stopping: {patience: 3}",
       at + ".population: goes on with trainings that early_stopping would end"},
      {population(fine, "train.network.batch_size: {choice: [8, 16]}"),
       at + ".space.train.network.batch_size: with 16: train.network.batch_size is not as before"},
      {population(fine, "train.network.layers.hidden.dense.units: {choice: [4, 5]}"),
       at + ".space.train.network.layers.hidden.dense.units: with 5: train.network.layers.0.dense"
            ".units is not as before"},
      {population(fine, "train.network.optimizer: {choice: [{adam: {}}, {sgd: {}}]}"),
       at + ".space.train.network.optimizer: with "},
      {population(fine, "train.network.epochs: {choice: [1, 2]}"),
       at + ".space.train.network.epochs: epochs are what this search deals out"},
      {population(fine, "train.data.limit: {choice: [10, 20]}"),
       at + ".space.train.data.limit: with 20: train.data.limit is not as before"},
  };
  EXPECT_EQ(Check(population(fine, "train.network.clip_norm: {choice: [1, 5]}, " + rate), base),
            "");
  EXPECT_EQ(unimplemented_, "");
  for (const Case& test : cases) {
    const std::string errors = Check(test.changes, base);
    EXPECT_EQ(errors.substr(0, test.errors.size()), test.errors) << test.changes;
  }
}

// Without momentum the optimiser keeps no velocity that a training with some could go on from.
TEST_F(ValidateTest, APopulationKeepsWhatItsOptimiserKeeps) {
  std::string base(testing::kBase);
  for (const auto& [from, to] :
       {std::pair<std::string, std::string>{"        early_stopping: {metric: accuracy}\n", ""},
        {"optimizer: {adam: {}}", "optimizer: {sgd: {momentum: 0.5}}"}}) {
    base.replace(base.find(from), from.size(), to);
  }
  const auto momentum = [&](const std::string& choice) {
    return Search(
        "{population: {population: 4, generations: 5}, space: "
        "{train.network.optimizer.sgd.momentum: {choice: " +
        choice + "}}}");
  };
  EXPECT_EQ(Check(momentum("[0.5, 0.9]"), base), "");
  const std::string wrong =
      "steps.train.search.space.train.network.optimizer.sgd.momentum: with 0.9: "
      "train.network.optimizer.sgd.momentum is not as before";
  EXPECT_EQ(Check(momentum("[0, 0.9]"), base).substr(0, wrong.size()), wrong);
}

// What a value would break is said before anything runs.
TEST_F(ValidateTest, TriesEachValue) {
  const std::string at = "steps.train.search.space.";
  const Case cases[] = {
      {Space("{train.network.layers.hidden.dense.units: {choice: [8, -1]}}"),
       at + "train.network.layers.hidden.dense.units: with -1: "
            "steps.train.train.network.layers.0.dense.units must"},
      {Space("{train.network.layers.hidden.dense.units: {choice: [8, many]}}"),
       at + "train.network.layers.hidden.dense.units: with many: "},
      {Space("{train.network.nosuch: {choice: [8]}}"),
       at + "train.network.nosuch: with 8: \"steps.train.train.network\" has no field \"nosuch\""},
      {Space("{train.network.optimizer.adam.learning_rate: {uniform: {min: -1, max: 1}}}"),
       at + "train.network.optimizer.adam.learning_rate: with -1: "},
  };
  for (const Case& test : cases) {
    const std::string errors = Check(test.changes);
    EXPECT_EQ(errors.substr(0, test.errors.size()), test.errors) << test.changes;
  }
}

TEST_F(ValidateTest, RefusesFoldsThatCannotBe) {
  const std::string at = "steps.train.cross_validation";
  const Case cases[] = {
      {at + ": {}", at + ": does not say how rows are divided: give one of k_fold"},
      {at + ": {k_fold: {folds: 1}}", at + ".k_fold.folds: must be from 2 to 100, not 1"},
      {at + ": {k_fold: {folds: 3, repeats: 101}}", at + ".k_fold.repeats: must be from 1 to 100"},
      {at + ": {grouped: {folds: 3}}",
       at + ".grouped.column: is missing: name the column that tells the groups apart"},
      {at + ": {grouped: {folds: 3, column: colour}}",
       at + ".grouped.column: the data has no column \"colour\" (did you mean \"color\"?"},
      {at + ": {grouped: {folds: 3, column: color}}",
       at + ".grouped.column: \"color\" is a feature too, and says which fold a row is in: add it "
            "to data.exclude"},
  };
  for (const Case& test : cases) {
    const std::string errors = Check(test.changes);
    EXPECT_EQ(errors.substr(0, test.errors.size()), test.errors) << test.changes;
  }
}

TEST_F(ValidateTest, WindowsAreHeldOutByTheirTimeOnly) {
  const std::string windows =
      "steps.train.train.data.windows: {steps: 4}\nsteps.train.train.data.split: {ordered: "
      "{validation: 0.2, test: 0.2}}\nsteps.train.cross_validation: ";
  const std::string refusal =
      "steps.train.cross_validation: windows of training rows would reach into the rows that are "
      "held out: use time_series";
  EXPECT_NE(Check(windows + "{k_fold: {folds: 3}}").find(refusal), std::string::npos);
  EXPECT_EQ(Check(windows + "{time_series: {folds: 3}}").find(refusal), std::string::npos);
}

TEST_F(ValidateTest, KnowsWhatFoldsAndTrialsHaveNothingToCompareBy) {
  const auto finds = [&](const std::string& changes, const std::string& refusal) {
    return Check(changes).find(refusal) != std::string::npos;
  };
  // Errors beside these do not matter here.
  EXPECT_TRUE(
      finds("inputs.table.dataset: small\nsteps.train.cross_validation: {k_fold: {folds: 11}}",
            "k_fold.folds: is more than the 10 rows of the data"));
  EXPECT_TRUE(
      finds("steps.train.train.data.target: price\nsteps.train.train.network.loss: "
            "{mean_squared_error: {}}\nsteps.train.cross_validation: {stratified: "
            "{folds: 3}}",
            "cross_validation.stratified: there are no classes to be kept in proportion: use "
            "k_fold"));
  EXPECT_TRUE(
      finds("parameters: [{name: e, path: steps.train.train.network.epochs}]\nsteps.train.search: "
            "{random: {trials: 2}, space: {e: {choice: [1]}, train.network.epochs: {choice: [2]}}}",
            "leads to the same place as \"e\""));
  const std::string generates =
      "steps.train.train.adversarial: {generator: {layers: [{dense: {}}]}}";
  EXPECT_TRUE(finds(generates + "\n" + kGood,
                    "steps.train.search: a model that generates has no metric by which trainings "
                    "are compared"));
  EXPECT_TRUE(finds(generates + "\nsteps.train.cross_validation: {k_fold: {folds: 3}}",
                    "steps.train.cross_validation: a model that generates has no metric"));
}

// The validation rows that trials are compared on come from the split or from folds.
TEST_F(ValidateTest, ASearchNeedsRowsToCompareOn) {
  const std::string split = "steps.train.train.data.split: {stratified: {test: 0.2}}\n";
  const std::string stop = "steps.train.train.network.early_stopping: null\n";
  EXPECT_EQ(Check(split + stop + kGood).substr(0, 68),
            "steps.train.search: compares trials on validation rows, and the spli");
  EXPECT_EQ(Check(split + stop + "steps.train.cross_validation: {k_fold: {folds: 3}}\n" + kGood),
            "");
}

}  // namespace
}  // namespace beamline::pipeline
