// Definitions with prepare steps.
#include <gtest/gtest.h>

#include <algorithm>

#include "pipeline/dependencies.h"
#include "pipeline/expand.h"
#include "tests/pipeline/validate_fixture.h"

namespace beamline::pipeline::testing {
namespace {

constexpr char kPrepared[] = R"(
name: prepared
inputs: {table: {dataset: flowers}, other: {dataset: flowers2}}
steps:
  - name: clean
    prepare:
      input: table
      operations:
        - filter: {where: 'length > 2'}
        - derive: {columns: {ratio: 'length / width', whole: 'integer(price)'}}
  - name: train
    train:
      data:
        input: clean
        target: species
        features: [length, ratio, color]
        split: {stratified: {validation: 0.2, test: 0.2}}
      network:
        layers: [dense: {units: 8, activation: relu}, dense: {}]
        loss: {cross_entropy: {}}
        optimizer: {adam: {}}
  - name: evaluate
    evaluate: {model: train}
)";

class PrepareValidateTest : public ValidateTest {
 protected:
  // What is wrong if these are the operations.
  // Errors of one step.
  static std::string Of(const std::string& step, const std::string& errors) {
    std::string own;
    for (size_t at = 0; at < errors.size();) {
      const size_t end = errors.find('\n', at) + 1;
      if (errors.compare(at, step.size() + 1, step + ".") == 0) own += errors.substr(at, end - at);
      at = end;
    }
    return own;
  }
  template <size_t kCases>
  void CheckAll(const Case (&cases)[kCases]) {
    for (const Case& each : cases) {
      // What the train step misses then is no matter here.
      EXPECT_EQ(Of("steps.clean", CheckOperations(each.changes)), each.errors) << each.changes;
    }
  }
  std::string CheckOperations(const std::string& operations) {
    return Check("{steps.clean.prepare.operations: " + operations + "}", kPrepared);
  }
};

TEST_F(PrepareValidateTest, AcceptsStepsThatUseWhatIsPrepared) {
  EXPECT_EQ(Check("{}", kPrepared), "");
  EXPECT_EQ(unimplemented_, "");
}

TEST_F(PrepareValidateTest, FindsErrorsOfOperations) {
  const Case cases[] = {
      {"[]", "steps.clean.prepare.operations: are 0: give 1 to 1000\n"},
      {"[{filter: {where: 'lenght > 2'}}]",
       "steps.clean.prepare.operations.0.filter.where: column 1: there is no column \"lenght\" "
       "(did "
       "you mean \"length\"?)\n"},
      {"[{filter: {where: 'length + 2'}}]",
       "steps.clean.prepare.operations.0.filter.where: gives a number: compare it with something, "
       "such as \"pt > 25\"\n"},
      {"[{filter: {where: 'a > 2'}}, {derive: {columns: {b: 'sqr(length)'}}}]",
       "steps.clean.prepare.operations.0.filter.where: column 1: there is no column \"a\"\n"
       "steps.clean.prepare.operations.1.derive.columns.b: column 1: there is no function \"sqr\" "
       "(did you mean \"sqrt\"?)\n"},
      {"[{select: {columns: [length, size, length]}}]",
       "steps.clean.prepare.operations.0.select.columns.1: the table has no column \"size\" here: "
       "it "
       "has length, width, color, species, kind, price, constant, weight, negative, holes\n"
       "steps.clean.prepare.operations.0.select.columns.2: \"length\" is listed twice\n"},
      {"[{select: {columns: [length]}}, {sort: {by: [-width]}}]",
       "steps.clean.prepare.operations.1.sort.by.0: the table has no column \"width\" here: it has "
       "length\n"},
      {"[{rename: {names: {length: width}}}]",
       "steps.clean.prepare.operations.0.rename.names: two columns would have the name "
       "\"width\"\n"},
      {"[{sample: {rows: 3, share: 0.5}}]",
       "steps.clean.prepare.operations.0.sample: needs either rows or share\n"},
      {"[{sample: {share: 1.5, by: width}}]",
       "steps.clean.prepare.operations.0.sample.share: must be above 0 and below 1, not 1.5\n"
       "steps.clean.prepare.operations.0.sample.by: column \"width\" holds float64: name one of "
       "texts, "
       "truth values or whole numbers\n"},
      {"[{balance: {column: species, weight: w}}]",
       "steps.clean.prepare.operations.0.balance.weight: is for method: weight only\n"},
      {"[{balance: {column: species, method: weight}}]",
       "steps.clean.prepare.operations.0.balance.weight: there is a column \"weight\" already: "
       "take "
       "another name\n"},
  };
  CheckAll(cases);
}

TEST_F(PrepareValidateTest, FindsErrorsOfGroupsArraysAndOtherTables) {
  const Case cases[] = {
      {"[{group: {by: [species], aggregates: {m: 'mean(color)', n: 'meen(length)', o: 'length'}}}]",
       "steps.clean.prepare.operations.0.group.aggregates.m: column 6: mean takes numbers, but "
       "this is "
       "a text\n"
       "steps.clean.prepare.operations.0.group.aggregates.n: column 1: is no aggregate such as "
       "\"mean(x)\" (did you mean \"mean\"?)\n"
       "steps.clean.prepare.operations.0.group.aggregates.o: column 1: is no aggregate such as "
       "\"mean(x)\"\n"},
      {"[{fill: {columns: [color], number: 1}}]",
       "steps.clean.prepare.operations.0.fill.columns.0: column \"color\" holds categorical, which "
       "1 is "
       "not\n"},
      {"[{fill: {}}]",
       "steps.clean.prepare.operations.0.fill: does not say by what: give number or text\n"},
      {"[{reshape: {columns: [length, width, price], shape: [2, 2], name: x}}]",
       "steps.clean.prepare.operations.0.reshape.shape: has room for 4 numbers, but there are 3 "
       "columns\n"},
      {"[{reshape: {columns: [length, color], shape: [2], name: price}}]",
       "steps.clean.prepare.operations.0.reshape.columns.1: column \"color\" holds categorical, "
       "not "
       "float64\n"
       "steps.clean.prepare.operations.0.reshape.name: there is a column \"price\" already: take "
       "another name\n"},
      {"[{tokenise: {column: price}}]",
       "steps.clean.prepare.operations.0.tokenise.column: column \"price\" holds float64: name one "
       "of "
       "texts\n"},
      {"[{join: {with: nothing, on: [color]}}]",
       "steps.clean.prepare.operations.0.join.with: there is no input or prepare step "
       "\"nothing\"\n"},
      {"[{join: {with: train, on: [color]}}]",
       "steps.clean.prepare.operations.0.join.with: step \"train\" makes no table: name an input "
       "or a "
       "prepare step\n"},
      {"[{join: {with: other, on: [colour]}}]",
       "steps.clean.prepare.operations.0.join.on.0: the table has no column \"colour\" here (did "
       "you "
       "mean \"color\"?)\n"
       "steps.clean.prepare.operations.0.join.on.0: \"other\" has no column \"colour\"\n"},
      {"[{select: {drop: [price]}}, {append: {tables: [other]}}]",
       "steps.clean.prepare.operations.1.append.tables.0: has a column \"price\", which is not "
       "here: "
       "select or derive\n"},
  };
  CheckAll(cases);
}

TEST_F(PrepareValidateTest, ChecksLaterStepsByTheColumns) {
  EXPECT_EQ(
      CheckOperations("[{select: {columns: [length, color, species]}}]"),
      "steps.train.train.data.features.1: the data has no column \"ratio\": it has length, color, "
      "species\n");
  EXPECT_EQ(Check("{steps.train.train.data.target: wholle}", kPrepared),
            "steps.train.train.data.target: the data has no column \"wholle\" (did you mean "
            "\"whole\"?)\n");
  EXPECT_EQ(
      Check("{steps.train.train.data.input: cleen}", kPrepared),
      "steps.train.train.data.input: there is no input \"cleen\" (did you mean \"clean\"?)\n");
  EXPECT_EQ(
      Check("{steps.train.train.data.input: evaluate}", kPrepared),
      "steps.train.train.data.input: step \"evaluate\" makes no table: name an input or a prepare "
      "step\n"
      "steps.train: waits for itself: train after evaluate after train\n");
}

TEST_F(PrepareValidateTest, KnowsWhatIsNotKnown) {
  // Whole numbers may be classes or not; a loss or target_kind says it.
  const std::string whole = "steps.train.train.data.target: whole";
  EXPECT_EQ(Check("{" + whole + "}", kPrepared), "");
  EXPECT_EQ(
      Check("{" + whole +
                ", steps.train.train.network.loss: null, "
                "steps.train.train.data.split: {random: {test: 0.2}}}",
            kPrepared),
      "steps.train.train.data.target_kind: is missing: column \"whole\" of a table that is not "
      "made yet holds whole numbers, which may be classes or not: set it to classification or "
      "regression, or give a loss\n");
  EXPECT_EQ(Check("{" + whole +
                      ", steps.train.train.network.loss: null, "
                      "steps.train.train.data.target_kind: regression, "
                      "steps.train.train.data.split: {random: {test: 0.2}}}",
                  kPrepared),
            "");
  // Texts are classes, fractions are numbers.
  EXPECT_EQ(Check("{steps.train.train.network.loss: null}", kPrepared), "");
  EXPECT_EQ(Check("{steps.train.train.data.target: width, steps.train.train.network.loss: null}",
                  kPrepared),
            "steps.train.train.data.split.stratified: the target is a number: only classes can be "
            "stratified, use random\n");
  // How many rows there are is not known, nor are missing values.
  EXPECT_EQ(Check("{steps.train.cross_validation: {k_fold: {folds: 90}}}", kPrepared), "");
  EXPECT_EQ(Check("{steps.train.train.data.split: {ordered: {test: 100000}}}", kPrepared), "");
  EXPECT_EQ(Check("{steps.train.train.data.features: [length, holes], "
                  "steps.train.train.data.transforms: [{standardize: {}}]}",
                  kPrepared),
            "");
  // Nor how many categories: a network may have to give so many numbers back.
  EXPECT_EQ(
      Check("{steps.train.train.data: {input: clean, objective: reconstruct, features: [length, "
            "color], split: {random: {test: 0.2}}}, steps.train.train.network.loss: null, "
            "steps.train.train.network.layers: [{dense: {units: 7}}]}",
            kPrepared),
      "");
  // Widths that are known are checked.
  EXPECT_EQ(
      Check("{steps.train.train.data.features: [length, ratio], steps.train.train.data.target: "
            "width, steps.train.train.data.split: null, steps.evaluate.evaluate.input: other, "
            "steps.train.train.network.loss: {mean_squared_error: {}}, "
            "steps.train.train.network.layers: [{dense: {units: 3}}]}",
            kPrepared),
      "steps.train.train.network.layers.0.dense.units: the last layer gives 3 numbers but the "
      "target has one number: set units to 1 or leave it out\n"
      "steps.evaluate.evaluate.input: lacks columns of input \"clean\": ratio\n");
}

TEST_F(PrepareValidateTest, ReadsExpressionsOfFilesThatAreNotUploaded) {
  options_.for_run = false;
  EXPECT_EQ(
      Check("{inputs: {table: {file: a.csv}, other: {file: b.csv}}, "
            "steps.clean.prepare.operations: [{filter: {where: 'a >'}}, {derive: {columns: {b: "
            "'sqrt(c', d: e}}}, {join: {with: third, on: [a]}}]}",
            kPrepared),
      "steps.clean.prepare.operations.2.join.with: there is no input or prepare step \"third\"\n"
      "steps.clean.prepare.operations.0.filter.where: column 4: there should be a value here, not "
      "the end\n"
      "steps.clean.prepare.operations.1.derive.columns.b: column 7: there should be \")\" to close "
      "the call of sqrt, not the end\n");
}

TEST_F(PrepareValidateTest, RefusesNamesAndCyclesAndGpus) {
  EXPECT_EQ(Check("{steps.clean.prepare.input: train}", kPrepared),
            "steps.clean.prepare.input: step \"train\" makes no table: name an input or a prepare "
            "step\n"
            "steps.clean: waits for itself: clean after train after clean\n");
  EXPECT_EQ(Check("{steps.clean.prepare.input: clean}", kPrepared),
            "steps.clean: waits for itself: clean after clean\n");
  EXPECT_EQ(
      Check("{inputs: {table: {dataset: flowers}, other: {dataset: flowers2}, clean: "
            "{dataset: flowers}}, steps.train.train.data.features: [length]}",
            kPrepared),
      "steps.clean.name: there is an input \"clean\" too, and tables are found by these names: "
      "rename one\n");
  EXPECT_EQ(
      Check("{steps.clean.resources.gpus: 1}", kPrepared),
      "steps.clean.resources: a prepare step computes on processor cores: leave gpus and device "
      "out\n");
}

TEST(PrepareSteps, WaitAndAreWaitedFor) {
  const v1::PipelineDefinition definition = ParseDefinition(R"(
name: graph
inputs: {a: {dataset: x}, b: {dataset: y}}
steps:
  - name: train
    train:
      data: {input: one, target: t, split: {input: {test: two}}}
      network: {layers: [dense: {}]}
  - name: two
    prepare: {input: b, operations: [{append: {tables: [a, three]}}]}
  - name: one
    prepare: {input: a, operations: [{join: {with: two, on: [k]}}, {filter: {where: 'k > 1'}}]}
  - name: three
    prepare: {input: b, operations: [{distinct: {}}]}
  - name: evaluate
    evaluate: {model: train}
  - name: nodes
    train:
      data: {input: a, target: t, graph: {arcs: three}}
      network: {layers: [graph_conv: {}]}
)")
                                                .definition;
  const auto before = [&](int i) { return DependenciesOf(definition, definition.steps(i)); };
  using Names = std::vector<std::string>;
  EXPECT_EQ(before(0), (Names{"one", "two"}));
  EXPECT_EQ(before(1), (Names{"three"}));
  EXPECT_EQ(before(2), (Names{"two"}));
  EXPECT_EQ(before(4), (Names{"one", "train", "two"}));
  EXPECT_EQ(before(5), (Names{"three"}));
  EXPECT_EQ(TablesBehind(definition, {"one"}), (Names{"a", "b", "one", "three", "two"}));
  std::map<std::string, std::string> needs;
  for (const PlannedTask& task : Expand(definition)) {
    for (const std::string& table : task.tables) needs[task.step] += table + " ";
    for (const auto& artifact : task.artifacts) needs[task.step] += artifact.key() + " ";
  }
  EXPECT_EQ(needs["three"], "b ");
  EXPECT_EQ(needs["two"], "b a three/table ");
  EXPECT_EQ(needs["one"], "a two/table ");
  EXPECT_EQ(needs["train"], "one/table ");
  EXPECT_EQ(needs["nodes"], "a three/table ");
  EXPECT_EQ(needs["evaluate"], "train/model one/table two/table ");
}

}  // namespace
}  // namespace beamline::pipeline::testing
