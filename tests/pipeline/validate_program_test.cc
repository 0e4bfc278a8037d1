// Programs of the user's, as steps and as learners.
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "pipeline/expand.h"
#include "pipeline/programs.h"
#include "tests/pipeline/validate_fixture.h"

namespace beamline::pipeline {
namespace {

using testing::ValidateTest;

constexpr char kStep[] = "steps.publish: {name: publish, command: ";

class ProgramsTest : public ValidateTest {
 protected:
  std::string CheckStep(const std::string& command) { return Check(kStep + command + "}"); }
};

TEST_F(ProgramsTest, AStepNeedsAProgram) {
  EXPECT_EQ(CheckStep("{program: {arguments: [ls, -l]}, inputs: [table], models: [train]}"), "");
  EXPECT_EQ(unimplemented_, "");
  EXPECT_EQ(CheckStep("{}"),
            "steps.publish.command.program.arguments: are missing: give the program and its "
            "arguments, such as [python3, train.py]\n");
  EXPECT_EQ(CheckStep("{program: {arguments: [ls]}, inputs: [tabel, table, table]}"),
            "steps.publish.command.inputs.0: \"tabel\" is no input of this pipeline (did you mean "
            "\"table\"?)\nsteps.publish.command.inputs.2: \"table\" is there twice\n");
  EXPECT_EQ(CheckStep("{program: {arguments: [ls]}, models: [evaluate]}").substr(0, 62),
            "steps.publish.command.models.0: \"evaluate\" is no train step of");
}

TEST_F(ProgramsTest, AnImageIsNamedByItsDigest) {
  const std::string digest = "sha256:" + std::string(64, 'a');
  EXPECT_EQ(CheckStep("{program: {arguments: [ls], image: \"" + digest + "\"}}"), "");
  EXPECT_EQ(unimplemented_, "");
  for (const std::string& wrong :
       {std::string("debian"), digest + "a", "sha256:" + std::string(64, 'A'), std::string(64, 'a'),
        std::string("sha256:../../../etc")}) {
    EXPECT_EQ(CheckStep("{program: {arguments: [ls], image: \"" + wrong + "\"}}").substr(0, 62),
              "steps.publish.command.program.image: is no digest of an image,")
        << wrong;
  }
  const std::string search = absl::StrCat(
      "{steps.train.train.command: {program: {arguments: [ls], image: \"", digest,
      "\"}}, steps.train.search: {grid: {}, space: {train.command.program.image: {choice: [\"",
      digest, "\", \"sha256:", std::string(64, 'b'), "\"]}}}}");
  EXPECT_THAT(Check(search), ::testing::HasSubstr("leads to the image of a program, which all"));
  // The last of many values.
  const std::string same = absl::StrCat("image: \"", digest, "\"");
  std::string many;
  for (int i = 0; i < 20; ++i) absl::StrAppend(&many, "{arguments: [a", i, "], ", same, "}, ");
  const auto last = [&](const std::string& value) {
    return Check(absl::StrCat("{steps.train.train.command: {program: {arguments: [ls], ", same,
                              "}}, steps.train.search: {random: {trials: 4}, space: ",
                              "{train.command.program: {choice: [", many, value, "]}}}}"));
  };
  EXPECT_EQ(last("{arguments: [b], " + same + "}"), "");
  EXPECT_THAT(last("{arguments: [b]}"), ::testing::HasSubstr("leads to the image of a program"));
}

TEST_F(ProgramsTest, AStepMayMakeATable) {
  EXPECT_EQ(CheckStep("{program: {arguments: [ls]}, table: out}"), "");
  EXPECT_EQ(unimplemented_, "");
  EXPECT_EQ(
      CheckStep("{program: {arguments: [ls]}, table: out.csv}"),
      "steps.publish.command.table: stands for outputs/out.csv.csv: leave its \".csv\" out\n");
  EXPECT_EQ(CheckStep("{program: {arguments: [ls]}, table: ../out}"),
            "steps.publish.command.table: a file's name is 1 to 100 bytes without '/'\n");
  EXPECT_EQ(
      Check("steps.publish: {name: table, command: {program: {arguments: [ls]}, table: out}}"),
      "steps.table.name: there is an input \"table\" too, and tables are found by these names: "
      "rename one\n");
}

TEST_F(ProgramsTest, FilesLieInTheFolderAndNowhereElse) {
  const auto check = [&](const std::string& name) {
    return CheckStep("{program: {arguments: [ls], files: {" + name + ": {text: x}}}}");
  };
  EXPECT_EQ(check("main.py"), "");
  for (const char* name : {"../x", "a/b", "/x", "\"..\"", "\".\"", "\"\"", "\"a\\nb\""}) {
    EXPECT_NE(check(name), "") << name;
  }
  for (const char* name : {"parameters.json", "metrics.jsonl", "model", "checkpoint", "rows.csv"}) {
    EXPECT_NE(check(name).find("this name is the service's"), std::string::npos) << name;
  }
}

TEST_F(ProgramsTest, FilesOfThisMachineAreTakenInBeforeARun) {
  const std::string step = "{program: {arguments: [ls], files: {a: {file: a.py}}}}";
  options_.for_run = true;
  EXPECT_EQ(CheckStep(step),
            "steps.publish.command.program.files.a.file: \"a.py\" is a local file: put its text "
            "here\n");
  options_.for_run = false;
  EXPECT_EQ(CheckStep(step), "");
}

TEST_F(ProgramsTest, ALearnerIsOneToo) {
  EXPECT_EQ(Check("steps.train.train.command: {program: {arguments: [ls]}}"), "");
  EXPECT_NE(Check("steps.train.train.command: {}"), "");
  EXPECT_EQ(Check("{steps.train.train.command: {program: {arguments: [ls]}}, "
                  "steps.train.resources: {gpus: 1}}"),
            "");
  EXPECT_THAT(unimplemented_, ::testing::HasSubstr("programs on graphics processors"));
  EXPECT_EQ(Check("{steps.train.train.command: {program: {arguments: [ls]}}, "
                  "steps.evaluate.resources: {gpus: 1}}"),
            "");
  EXPECT_THAT(unimplemented_, ::testing::HasSubstr("programs on graphics processors"))
      << "what measures a program's model runs it";
  EXPECT_NE(Check("{steps.train.train.command: {program: {arguments: [ls]}}, "
                  "steps.train.train.data.windows: {steps: 3}}"),
            "");
}

TEST_F(ProgramsTest, WhatRunsOne) {
  ParsedDefinition parsed = ParseDefinition(testing::kBase);
  v1::PipelineDefinition& definition = parsed.definition;
  EXPECT_EQ(FindProgramStep(definition), nullptr);
  definition.mutable_steps(0)->mutable_train()->mutable_command();
  EXPECT_TRUE(RunsProgram(definition, definition.steps(0)));
  EXPECT_TRUE(RunsProgram(definition, definition.steps(1))) << "it measures the program's model";
  EXPECT_FALSE(RunsProgram(definition, definition.steps(2)));
}

TEST_F(ProgramsTest, AStepWaitsForItsModels) {
  ParsedDefinition parsed = ParseDefinition(testing::kBase);
  v1::Step& step = *parsed.definition.mutable_steps(1);
  step.mutable_command()->add_inputs("table");
  step.mutable_command()->add_models("train");
  const PlannedTask task = PlanTask(parsed.definition, step, {});
  EXPECT_EQ(task.dependencies, std::vector<std::string>{"train"});
  EXPECT_EQ(task.tables, std::vector<std::string>{"table"});
  ASSERT_EQ(task.artifacts.size(), 1U);
  EXPECT_EQ(task.artifacts[0].key(), "train/model");
}

}  // namespace
}  // namespace beamline::pipeline
