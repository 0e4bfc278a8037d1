#include <istream>
#include <map>
#include <streambuf>

#include "absl/strings/str_cat.h"
#include "pipeline/text_value.h"
#include "pipeline/utf8.h"
#include "pipeline/yaml.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/parser.h"

namespace beamline::pipeline {
namespace {

// Ends the parsing at a limit of ours.
struct Refused {
  Position position;
  std::string reason;
};

Position ToPosition(const YAML::Mark& mark) {
  if (mark.is_null()) return {};
  return {mark.line + 1, mark.column + 1};
}

// Builds the tree from the parser's events. Aliases are copied, and every copied node counts
// towards the limit, so that a small text cannot become a large tree.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(TextValue* root) : root_(root) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    TextValue value;
    value.position = ToPosition(mark);
    Close(std::move(value), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      throw Refused{ToPosition(mark), "an alias (*) may not stand inside what it refers to"};
    }
    Count(found->second.nodes - 1, mark);
    TextValue value = found->second.value;
    value.position = ToPosition(mark);
    Close(std::move(value), YAML::NullAnchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    TextValue value;
    value.position = ToPosition(mark);
    value.quoted = tag == "!";
    const bool is_null =
        !value.quoted && (text.empty() || text == "~" || text == "null" || text == "Null");
    if (!is_null) {
      value.kind = TextValue::Kind::kScalar;
      value.text = text;
    }
    Close(std::move(value), anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(TextValue::Kind::kList, mark, anchor);
  }
  void OnSequenceEnd() override { CloseTop(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(TextValue::Kind::kMap, mark, anchor);
  }
  void OnMapEnd() override { CloseTop(); }

 private:
  struct Level {
    TextValue value;
    YAML::anchor_t anchor = YAML::NullAnchor;
    int nodes_before = 0;
    bool has_key = false;  // of a map: the next value belongs to the last entry
  };
  struct Anchored {
    TextValue value;
    int nodes = 1;
  };

  void Count(int nodes, const YAML::Mark& mark) {
    nodes_ += nodes;
    if (nodes_ > kMaxDefinitionNodes) {
      throw Refused{ToPosition(mark),
                    absl::StrCat("more than ", kMaxDefinitionNodes, " values, aliases included")};
    }
  }

  void Open(TextValue::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (stack_.size() >= static_cast<size_t>(kMaxDefinitionDepth)) {
      throw Refused{ToPosition(mark),
                    absl::StrCat("nested deeper than ", kMaxDefinitionDepth, " levels")};
    }
    Level& level = stack_.emplace_back();
    level.value.kind = kind;
    level.value.position = ToPosition(mark);
    level.anchor = anchor;
    level.nodes_before = nodes_;
  }

  void CloseTop() {
    Level level = std::move(stack_.back());
    stack_.pop_back();
    const int nodes = nodes_ - level.nodes_before + 1;
    if (level.anchor != YAML::NullAnchor) anchors_[level.anchor] = {level.value, nodes};
    Close(std::move(level.value), YAML::NullAnchor);
  }

  // Puts a complete value where it belongs.
  void Close(TextValue value, YAML::anchor_t anchor) {
    if (++nodes_ > kMaxDefinitionNodes) {
      throw Refused{value.position,
                    absl::StrCat("more than ", kMaxDefinitionNodes, " values, aliases included")};
    }
    if (anchor != YAML::NullAnchor) anchors_[anchor] = {value, 1};
    if (stack_.empty()) {
      *root_ = std::move(value);
      return;
    }
    Level& top = stack_.back();
    if (top.value.kind == TextValue::Kind::kList) {
      top.value.list.push_back(std::move(value));
    } else if (top.has_key) {
      top.value.map.back().value = std::move(value);
      top.has_key = false;
    } else {
      if (value.kind != TextValue::Kind::kScalar) {
        throw Refused{value.position,
                      absl::StrCat("a key must be text, not ", std::string(value.KindName()))};
      }
      top.value.map.push_back({value.text, value.position, {}});
      top.has_key = true;
    }
  }

  TextValue* const root_;
  std::vector<Level> stack_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  int nodes_ = 0;
};

// Reads from the view itself: no copy of the text.
class ViewBuffer : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // Never written: streambuf has no const form.
    setg(begin, begin, begin + text.size());
  }
};

}  // namespace

bool ReadYaml(std::string_view text, TextValue* value, Violations* violations) {
  if (text.size() > kMaxDefinitionBytes) {
    violations->Add("", absl::StrCat("the text has ", text.size(), " bytes; at most ",
                                     kMaxDefinitionBytes, " are read"));
    return false;
  }
  if (const size_t bad = FirstInvalidUtf8(text); bad != std::string_view::npos) {
    Position position{1, 1};
    for (const char c : text.substr(0, bad)) {
      position =
          c == '\n' ? Position{position.line + 1, 1} : Position{position.line, position.column + 1};
    }
    violations->AddAt("", "the text is not UTF-8: save the file in that encoding", position);
    return false;
  }
  ViewBuffer buffer(text);
  std::istream stream(&buffer);
  try {
    YAML::Parser parser(stream);
    TreeBuilder builder(value);
    if (!parser.HandleNextDocument(builder)) {
      violations->AddAt("", "the text is empty: a definition has at least a name and steps",
                        {1, 1});
      return false;
    }
    TextValue second;
    TreeBuilder second_builder(&second);
    if (parser.HandleNextDocument(second_builder)) {
      violations->AddAt("", "the text has a second document (after \"---\"): give one a file",
                        second.position);
      return false;
    }
  } catch (const YAML::Exception& error) {
    violations->AddAt("", absl::StrCat("not YAML: ", error.msg), ToPosition(error.mark));
    return false;
  } catch (const Refused& refused) {
    violations->AddAt("", refused.reason, refused.position);
    return false;
  }
  return true;
}

}  // namespace beamline::pipeline
