// What is said and written of the trials of a search.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "clients/cli/json.h"
#include "clients/cli/leaderboard.h"
#include "clients/cli/rows.h"
#include "clients/cli/run_summary.h"
#include "clients/cli/trial_files.h"
#include "clients/cli/trial_text.h"

namespace beamline::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

constexpr char kUnits[] = "train.network.layers.0.dense.units";
constexpr char kRate[] = "rate";

v1::TrialSummary TrialOf(int number, double value, double seconds, const std::string& units,
                         double rate) {
  v1::TrialSummary trial;
  trial.set_number(number);
  trial.set_state(v1::TASK_STATE_SUCCEEDED);
  trial.set_value(value);
  trial.set_seconds(seconds);
  if (!units.empty()) (*trial.mutable_parameters())[kUnits] = ValueOf(units);
  (*trial.mutable_parameters())[kRate].set_number_value(rate);
  return trial;
}

// Three that trained to the end, one to the third epoch, one that failed, one that runs.
v1::ListTrialsResponse Search() {
  v1::ListTrialsResponse search;
  search.set_step("tune");
  search.set_objective("auc");
  search.set_maximize(true);
  *search.add_trials() = TrialOf(4, 0.953, 20, "64", 0.0032);
  *search.add_trials() = TrialOf(1, 0.9512, 2, "8", 0.1);
  search.mutable_trials(0)->set_pareto(true);
  search.mutable_trials(1)->set_pareto(true);
  *search.add_trials() = TrialOf(2, 0.87, 8, "", 0.00001);
  *search.add_trials() = TrialOf(3, 0.5, 1, "16", 0.5);
  search.mutable_trials(3)->set_epochs(3);
  *search.add_trials() = TrialOf(5, 0, 0, "32", 0.1);
  search.mutable_trials(4)->set_state(v1::TASK_STATE_RUNNING);
  search.mutable_trials(4)->clear_value();
  *search.add_trials() = TrialOf(6, 0, 0.25, "32", 1);
  search.mutable_trials(5)->set_state(v1::TASK_STATE_FAILED);
  search.mutable_trials(5)->clear_value();
  search.mutable_trials(5)->mutable_failure()->set_message("loss is no number");
  v1::ParameterImportance& importance = *search.add_importance();
  importance.set_parameter(kUnits);
  importance.set_importance(1);
  return search;
}

size_t Count(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST(TrialText, ShortensKeysAsFarAsTheyDiffer) {
  EXPECT_THAT(ShortNamesOf({kUnits, "train.network.optimizer.adam.learning_rate", "rate"}),
              ElementsAre(Pair("rate", "rate"), Pair(kUnits, "units"),
                          Pair("train.network.optimizer.adam.learning_rate", "learning_rate")));
  EXPECT_THAT(ShortNamesOf({"layers.0.dense.units", "layers.1.dense.units"}),
              ElementsAre(Pair("layers.0.dense.units", "0.dense.units"),
                          Pair("layers.1.dense.units", "1.dense.units")));
  // One is the end of the other.
  EXPECT_THAT(ShortNamesOf({"adam.rate", "rate"}),
              ElementsAre(Pair("adam.rate", "adam.rate"), Pair("rate", "rate")));
  EXPECT_THAT(ShortNamesOf({"", ".", "a..b"}), testing::SizeIs(3));
}

TEST(TrialText, Numbers) {
  EXPECT_EQ(ObjectiveText(0.9512), "0.95120");
  EXPECT_EQ(ObjectiveText(0.9999999), "1.0000");
  EXPECT_EQ(ObjectiveText(-12.34567), "-12.346");
  EXPECT_EQ(ObjectiveText(0), "0.0000");
  EXPECT_EQ(ObjectiveText(0.00012345), "0.00012345");
  EXPECT_EQ(ObjectiveText(1.5e-9), "1.5e-09");
  EXPECT_EQ(ObjectiveText(99999.7), "1e+05");
  EXPECT_EQ(ObjectiveText(1.0 / 0.0), "inf");
  EXPECT_EQ(UncertainText(0.9512, 0.0021), "0.95120 +- 0.00210");
  EXPECT_EQ(UncertainText(0.9512, 0), "0.95120 +- 0.00000");
  EXPECT_EQ(UncertainText(0.9512, 1.23e-7), "0.95120 +- 1.2e-07");
  EXPECT_EQ(UncertainText(2e9, 3e7), "2e+09 +- 3e+07");
}

TEST(TrialText, Values) {
  for (const auto& [json, text] :
       std::vector<std::pair<std::string, std::string>>{{"64", "64"},
                                                        {"100000", "100000"},
                                                        {"0.00321987", "0.00322"},
                                                        {"1e20", "1e+20"},
                                                        {"true", "true"},
                                                        {"gelu", "gelu"},
                                                        {"[1,2]", "[1,2]"},
                                                        {"{\"sgd\":{}}", "{\"sgd\":{}}"}}) {
    EXPECT_EQ(ValueText(ValueOf(json)), text);
  }
  EXPECT_EQ(ParametersText(Search().trials(0).parameters(), {{kUnits, "units"}}),
            "rate=0.0032, units=64");
}

TEST(Leaderboard, ShowsTheBestAndNotTheFailed) {
  EXPECT_EQ(SearchHeadline(Search()),
            "tune: 6 trials, 1 failed, 1 not ended; auc, more is better\n");
  EXPECT_EQ(TrialTable(Search(), 10, false, {}),
            "TRIAL      auc    rate  units  EPOCHS   TIME  FRONT\n"
            "    4  0.95300  0.0032     64           20 s  *\n"
            "    1  0.95120     0.1      8          2.0 s  *\n"
            "    2  0.87000   1e-05      -          8.0 s\n"
            "    3  0.50000     0.5     16       3  1.0 s\n"
            "* no other trial is both better and faster\n");
  EXPECT_EQ(TrialTable(Search(), 1, false, {}),
            "TRIAL      auc    rate  units  TIME  FRONT\n"
            "    4  0.95300  0.0032     64  20 s  *\n"
            "* no other trial is both better and faster\n");
}

TEST(Leaderboard, ListsAllWithTheirStates) {
  const std::string text = TrialTable(Search(), 100, true, {});
  EXPECT_THAT(text, HasSubstr("    5        -     0.1     32              -         running\n"));
  EXPECT_THAT(text, HasSubstr("    6        -       1     32          0.2 s         failed     "
                              "loss is no number\n"));
  EXPECT_EQ(Count(text, "\n"), 8u);
}

TEST(Leaderboard, PutsValuesTogetherWhereColumnsDoNotFit) {
  v1::ListTrialsResponse search;
  search.set_objective("auc");
  *search.add_trials() = TrialOf(1, 0.5, 1, "8", 0.1);
  for (int i = 0; i < 9; ++i) {
    (*search.mutable_trials(0)->mutable_parameters())["a_long_key" + std::to_string(i)] =
        ValueOf("1");
  }
  EXPECT_THAT(TrialTable(search, 10, false, {.width = 200}), Not(HasSubstr("VALUES")));
  const std::string narrow = TrialTable(search, 10, false, {.width = 60});
  EXPECT_THAT(narrow, Not(HasSubstr("VALUES")));
  search.mutable_trials(0)->mutable_parameters()->clear();
  for (int i = 0; i < 9; ++i) {
    (*search.mutable_trials(0)->mutable_parameters())["k" + std::to_string(i)] =
        ValueOf(i == 0 ? "a" : "1");
  }
  // A column for each is as wide as its widest value: of many trials that differ.
  for (int i = 1; i < 9; ++i) {
    *search.add_trials() = TrialOf(i + 1, 0.5, 1, "", 0.1);
    search.mutable_trials(i)->mutable_parameters()->clear();
    (*search.mutable_trials(i)->mutable_parameters())["k" + std::to_string(i)] =
        ValueOf("a value that is long");
  }
  EXPECT_THAT(TrialTable(search, 10, false, {.width = 80}),
              AllOf(HasSubstr("VALUES"), HasSubstr("k0=a, k1=1, k2=1")));
}

TEST(Leaderboard, ShowsErrorsOverFolds) {
  v1::ListTrialsResponse search = Search();
  search.mutable_trials(0)->set_standard_error(0.0021);
  for (const double value : {0.95, 0.956}) search.mutable_trials(0)->add_fold_values(value);
  EXPECT_THAT(TrialTable(search, 10, false, {}), HasSubstr("    4  0.95300 +- 0.00210  0.0032"));
}

TEST(Leaderboard, CannotSteerTheTerminal) {
  v1::ListTrialsResponse search;
  search.set_step("tune\x1b");
  search.set_objective("auc\x1b");
  *search.add_trials() = TrialOf(1, 0.5, 1, "a\x1b[2J", 0.1);
  (*search.mutable_trials(0)->mutable_parameters())["key\x1b"].set_string_value("\x07");
  v1::ParameterImportance& importance = *search.add_importance();
  importance.set_parameter("key\x1b");
  importance.set_importance(1);
  *search.add_trials() = TrialOf(2, 0.6, 1, "b", 0.1);
  EXPECT_THAT(SearchSummary(search, {}),
              AllOf(Not(HasSubstr("\x1b")), Not(HasSubstr("\x07")), HasSubstr("a?[2J")));
}

TEST(Leaderboard, ImportanceIsShownAsBars) {
  v1::ListTrialsResponse search = Search();
  search.mutable_importance(0)->set_importance(0.75);
  EXPECT_EQ(ImportanceBars(search, {}),
            "IMPORTANCE\n"
            "units       [###############-----]  75%\n");
  search.clear_importance();
  EXPECT_EQ(ImportanceBars(search, {}), "");
}

TEST(Leaderboard, FrontStandsOutInThePicture) {
  const Plot plot = ParetoPlot(Search());
  ASSERT_EQ(plot.series.size(), 3u);
  // Up to the time of the better one the faster one is the best.
  const auto is_at = [](double x, double y) {
    return AllOf(testing::Field(&PlotPoint::x, x), testing::Field(&PlotPoint::y, y));
  };
  EXPECT_THAT(plot.series[0].points,
              ElementsAre(is_at(2, 0.9512), is_at(20, 0.9512), is_at(20, 0.953)));
  EXPECT_THAT(plot.series[1].points, ElementsAre(is_at(8, 0.87)));
  EXPECT_THAT(plot.series[2].points, ElementsAre(is_at(2, 0.9512), is_at(20, 0.953)));
  EXPECT_FALSE(plot.x.logarithmic);
  v1::ListTrialsResponse wide = Search();
  wide.mutable_trials(0)->set_seconds(200);
  EXPECT_TRUE(ParetoPlot(wide).x.logarithmic);
  v1::ListTrialsResponse one = Search();
  one.mutable_trials()->DeleteSubrange(1, 5);
  EXPECT_THAT(ParetoPlot(one).series, IsEmpty());
}

TEST(Leaderboard, TrialsThatWentAstrayDoNotHideTheOthers) {
  v1::ListTrialsResponse search;
  search.set_objective("loss");
  for (int i = 0; i < 8; ++i) *search.add_trials() = TrialOf(i, 0.30 + 0.01 * i, 1, "8", 0.1);
  *search.add_trials() = TrialOf(9, 1e6, 1, "8", 0.1);
  EXPECT_DOUBLE_EQ(ObjectiveAxis(search).min, 0.3);
  EXPECT_LT(ObjectiveAxis(search).max, 0.45);
  // Those that are far better stay.
  search.mutable_trials(8)->set_value(-1e6);
  EXPECT_LE(ObjectiveAxis(search).min, -1e6);
  search.set_maximize(true);
  EXPECT_DOUBLE_EQ(ObjectiveAxis(search).min, 0.3);
}

TEST(Leaderboard, SummaryHasAllParts) {
  const std::string text = SearchSummary(Search(), {});
  EXPECT_THAT(text, AllOf(HasSubstr("tune: 6 trials"), HasSubstr("TRIAL"), HasSubstr("IMPORTANCE"),
                          HasSubstr("training time, s")));
  v1::ListTrialsResponse folds;
  folds.add_trials()->set_value(0.5);
  EXPECT_FALSE(HasTrials(folds));
  EXPECT_EQ(SearchSummary(folds, {}), "");
  EXPECT_EQ(SearchSummary({}, {}), "");
}

TEST(Leaderboard, MetricsOverTheFolds) {
  v1::Task task;
  task.set_step("check");
  v1::FoldStatistics& auc = (*task.mutable_result()->mutable_cross_validation())["auc"];
  auc.set_mean(0.95);
  auc.set_standard_error(0.01);
  for (const double value : {0.95, 0.93, 0.97}) auc.add_values(value);
  EXPECT_EQ(FoldTable({task}),
            "STEP   METRIC      OVER THE FOLDS     FROM       TO  FOLDS\n"
            "check  auc     0.95000 +- 0.01000  0.93000  0.97000      3\n");
  EXPECT_EQ(FoldTable({v1::Task()}), "");
  task.mutable_result()->mutable_out_of_fold()->set_name("projects/p/datasets/0123456789abcdef");
  task.mutable_result()->mutable_out_of_fold()->set_display_name("p-check-out-of-fold.csv");
  EXPECT_THAT(RunSummary({}, {task}, {Search()}, {}, {}),
              AllOf(HasSubstr("tune: 6 trials"), HasSubstr("OVER THE FOLDS"),
                    HasSubstr("dataset p-check-out-of-fold.csv (0123456789ab)")));
}

TEST(TrialsCsv, IsReadAsItWasMeant) {
  v1::ListTrialsResponse search = Search();
  (*search.mutable_trials(0)->mutable_parameters())["a, \"b\""].set_string_value("x\n\"y\",");
  search.mutable_trials(1)->set_value(0.1 + 0.2);
  search.mutable_trials(1)->set_standard_error(0.5);
  search.mutable_trials(1)->add_fold_values(0.3);
  search.mutable_trials(1)->add_fold_values(0.4);
  const std::string csv = TrialsCsv(search);
  const auto rows = ParseRows(csv, "csv");
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 6u);
  const auto& first = (*rows)[0].fields();
  EXPECT_EQ(first.at("parameters.a, \"b\"").string_value(), "x\n\"y\",");
  EXPECT_EQ(first.at("number").number_value(), 4);
  EXPECT_EQ(first.at("state").string_value(), "succeeded");
  EXPECT_EQ(first.at("parameters.rate").number_value(), 0.0032);
  EXPECT_TRUE(first.at("standard_error").has_null_value());
  EXPECT_TRUE(first.at("epochs").has_null_value());
  const auto& second = (*rows)[1].fields();
  EXPECT_EQ(second.at("value").number_value(), 0.1 + 0.2);
  EXPECT_EQ(second.at("standard_error").number_value(), 0.5);
  EXPECT_EQ(second.at("folds").number_value(), 2);
  EXPECT_EQ((*rows)[3].fields().at("epochs").number_value(), 3);
  EXPECT_TRUE((*rows)[5].fields().at("value").has_null_value());
  EXPECT_EQ((*rows)[5].fields().at("seconds").number_value(), 0.25);
  EXPECT_THAT(csv, HasSubstr("number,state,\"parameters.a, \"\"b\"\"\",parameters.rate,"
                             "parameters.train.network.layers.0.dense.units,value,"));
}

TEST(TrialsSvg, HasAllPanels) {
  const std::string svg = TrialsSvg(Search(), "run <r>");
  EXPECT_THAT(svg,
              AllOf(HasSubstr("run &lt;r&gt;"), HasSubstr("of each trial, and the best so far"),
                    HasSubstr("against training time"), HasSubstr(">importance<"),
                    HasSubstr("units  100%"), HasSubstr(">rate<"), HasSubstr(">units<"),
                    Not(HasSubstr("nan")), Not(HasSubstr("inf"))));
  // Of each trial that has a value: its number, time, rate; units are part of one less.
  EXPECT_EQ(Count(svg, "<circle"), 4u + 3u + 4u + 3u);
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
}

TEST(TrialsSvg, BestSoFarOnlyGetsBetter) {
  v1::ListTrialsResponse search;
  search.set_objective("loss");
  for (const auto& [number, value] : {std::pair{2, 0.2}, {4, 0.3}, {1, 0.4}, {3, 0.6}}) {
    *search.add_trials() = TrialOf(number, value, 1, "8", 0.1);
  }
  // From 0.2 to 0.6, and from 1 to 4, in steps: the second trial is the best to the end.
  EXPECT_THAT(TrialsSvg(search, ""),
              HasSubstr("points=\"80.00,190.00 200.00,190.00 200.00,300.00 320.00,300.00 "
                        "320.00,300.00 440.00,300.00 440.00,300.00\""));
  search.set_maximize(true);
  EXPECT_THAT(TrialsSvg(search, ""),
              HasSubstr("points=\"80.00,190.00 200.00,190.00 200.00,190.00 320.00,190.00 "
                        "320.00,80.00 440.00,80.00 440.00,80.00\""));
}

TEST(TrialsSvg, ShowsTheSixMostImportantKeys) {
  v1::ListTrialsResponse search;
  search.set_objective("loss");
  *search.add_trials() = TrialOf(1, 0.5, 1, "gelu", 0.1);
  *search.add_trials() = TrialOf(2, 0.4, 1, "tanh <b>", 0.1);
  for (int i = 0; i < 8; ++i) {
    const std::string key = "key" + std::to_string(i);
    (*search.mutable_trials(0)->mutable_parameters())[key] = ValueOf("1");
    v1::ParameterImportance& importance = *search.add_importance();
    importance.set_parameter(key);
    importance.set_importance(0.125);
  }
  std::string svg = TrialsSvg(search, "");
  EXPECT_THAT(svg, AllOf(HasSubstr(">key0<"), HasSubstr(">key5<"), Not(HasSubstr(">key6<"))));
  search.clear_importance();
  search.add_importance()->set_parameter(kUnits);
  svg = TrialsSvg(search, "");
  // Texts have a place each.
  EXPECT_THAT(svg, AllOf(HasSubstr(">units<"), HasSubstr(">gelu<"), HasSubstr(">tanh &lt;b&gt;<"),
                         HasSubstr(">key3<"), Not(HasSubstr(">key5<"))));
}

TEST(TrialsSvg, OfNothingIsStillAPicture) {
  EXPECT_TRUE(TrialsSvg({}, "").ends_with("</svg>\n"));
  EXPECT_EQ(TrialsCsv({}), "number,state,value,standard_error,folds,epochs,seconds\r\n");
}

}  // namespace
}  // namespace beamline::cli
