#include "clients/cli/dag.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <set>

#include "clients/cli/pipeline_view.h"
#include "google/protobuf/text_format.h"

namespace beamline::cli {
namespace {

using ::testing::HasSubstr;

constexpr TerminalTraits kUtf8{.utf8 = true};

DagNode Node(std::string name, std::vector<size_t> from, bool source = false) {
  return {.name = std::move(name), .caption = "", .source = source, .from = std::move(from)};
}

TEST(DagTextTest, AChainIsOneRail) {
  EXPECT_EQ(DagText({Node("rows", {}, true), Node("clean", {0}), Node("train", {1})}, kUtf8),
            "○  rows\n"
            "●  clean\n"
            "●  train\n");
}

TEST(DagTextTest, RailsRunToAllThatTheyLeadTo) {
  EXPECT_EQ(DagText({Node("rows", {}, true), Node("clean", {0}), Node("train", {1}),
                     Node("score", {1, 2}), Node("release", {2, 3})},
                    kUtf8),
            "○    rows\n"
            "●    clean\n"
            "├─●  train\n"
            "●─┤  score\n"
            "●─╯  release\n");
}

TEST(DagTextTest, LinesCrossRailsThatGoOn) {
  // a to e, b to d, c to d and e.
  EXPECT_EQ(DagText({Node("a", {}, true), Node("b", {}, true), Node("c", {}), Node("d", {1, 2}),
                     Node("e", {0, 2})},
                    kUtf8),
            "○      a\n"
            "│ ○    b\n"
            "│ │ ●  c\n"
            "│ ●─┤  d\n"
            "●───╯  e\n");
  EXPECT_EQ(DagText({Node("a", {}), Node("b", {}), Node("c", {}), Node("d", {0, 2}),
                     Node("e", {0, 1, 2})},
                    kUtf8),
            "●        a\n"
            "│ ●      b\n"
            "│ │ ●    c\n"
            "├─│─┼─●  d\n"
            "●─┴─╯    e\n");
}

TEST(DagTextTest, PlainTerminalsGetPlainCharacters) {
  EXPECT_EQ(DagText({Node("rows", {}, true), Node("a", {0}), Node("b", {0}), Node("c", {1, 2})},
                    TerminalTraits{}),
            "o    rows\n"
            "+-o  a\n"
            "o |  b\n"
            "o-+  c\n");
}

TEST(DagTextTest, NamesCannotSteerTheTerminal) {
  EXPECT_EQ(DagText({{.name = "a\x1b[2J", .caption = "b\n", .source = false, .from = {}}}, kUtf8),
            "●  a?[2J  b?\n");
}

// Where the boxes stand, by the text in them.
std::map<std::string, std::pair<double, double>> Boxes(const std::string& svg) {
  std::map<std::string, std::pair<double, double>> boxes;
  const std::regex box("<rect x=\"([0-9.]+)\" y=\"([0-9.]+)\"[^>]*rx[^>]*>\\s*<text[^>]*>([^<]*)<");
  for (std::sregex_iterator i(svg.begin(), svg.end(), box), end; i != end; ++i) {
    boxes[(*i)[3]] = {std::stod((*i)[1]), std::stod((*i)[2])};
  }
  return boxes;
}

TEST(DagSvgTest, EachStandsBehindAllThatLeadToIt) {
  const std::vector<DagNode> nodes = {Node("rows", {}, true),  Node("clean", {0}),
                                      Node("train", {1}),      Node("score", {1, 2}),
                                      Node("release", {2, 3}), Node("alone", {})};
  const std::string svg = DagSvg("a <b>", nodes);
  auto boxes = Boxes(svg);
  ASSERT_EQ(boxes.size(), nodes.size());
  std::set<std::pair<double, double>> places;
  for (const DagNode& node : nodes) {
    for (const size_t from : node.from) {
      EXPECT_LT(boxes[nodes[from].name].first, boxes[node.name].first) << node.name;
    }
    EXPECT_TRUE(places.insert(boxes[node.name]).second) << node.name;
  }
  EXPECT_EQ(boxes["rows"].first, boxes["alone"].first);
  EXPECT_THAT(svg, HasSubstr("a &lt;b&gt;"));
  // One arrow for each arc, however many layers it passes.
  const std::regex arrow("marker-end");
  EXPECT_EQ(
      std::distance(std::sregex_iterator(svg.begin(), svg.end(), arrow), std::sregex_iterator()),
      6);
}

constexpr char kDefinition[] = R"pb(
  inputs {
    key: "events"
    value { file: "events.csv" }
  }
  inputs {
    key: "more"
    value { dataset: "projects/p/datasets/d7" }
  }
  inputs {
    key: "unused"
    value { file: "u.csv" }
  }
  steps {
    name: "release"
    publish { model: "tune" name: "higgs" }
  }
  steps {
    name: "tune"
    search { hyperband {} }
    cross_validation { stratified { folds: 5 } }
    train {
      network {
        layers {}
        layers {}
      }
    }
  }
  steps {
    name: "forest"
    train { random_forest {} }
  }
  steps {
    name: "clean"
    prepare {
      operations { filter {} }
      operations { derive {} }
    }
  }
  steps {
    name: "score"
    evaluate { model: "tune" input: "more" }
  }
)pb";

TEST(PipelineGraphTest, InputsAndStepsInTheOrderOfWork) {
  v1::PipelineDefinition definition;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(kDefinition, &definition));
  google::protobuf::RepeatedPtrField<v1::StepArc> arcs;
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"tune", "release"},
                                                        {"score", "release"},
                                                        {"clean", "tune"},
                                                        {"clean", "forest"},
                                                        {"events", "clean"},
                                                        {"more", "score"},
                                                        {"tune", "score"},
                                                        {"gone", "score"}}) {
    v1::StepArc& arc = *arcs.Add();
    arc.set_from(from);
    arc.set_to(to);
  }
  EXPECT_EQ(DagText(PipelineGraph(definition, arcs), kUtf8),
            "○      events   events.csv\n"
            "●      clean    prepare: filter, derive\n"
            "├─●    tune     train: network of 2 layers, hyperband search, stratified folds\n"
            "│ │ ○  more     d7\n"
            "│ ├─●  score    evaluate: tune\n"
            "│ ●─╯  release  publish: higgs\n"
            "●      forest   train: random forest\n");
}

}  // namespace
}  // namespace beamline::cli
