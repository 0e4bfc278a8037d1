#include "pipeline/learners/registry.h"

#include "absl/strings/str_cat.h"
#include "engine/core/error.h"
#include "pipeline/learners/kinds.h"
#include "pipeline/network.h"
#include "pipeline/schema.h"

namespace beamline::pipeline {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Joins the four functions of kinds.h that take Fields.
template <typename Fields>
LearnerKind Kind(const LearnerAbilities& abilities) {
  LearnerKind kind;
  const auto* descriptor = v1::Learner::descriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor& field = *descriptor->field(i);
    if (field.message_type() != Fields::descriptor()) continue;
    kind.name = field.name();
    kind.field = field.number();
  }
  kind.abilities = abilities;
  kind.check = [](const Message& fields, LearnerCheck& check) {
    CheckFields(static_cast<const Fields&>(fields), check);
  };
  kind.complete = [](const LearnerFacts& facts, Message* fields) {
    CompleteFields(facts, static_cast<Fields*>(fields));
  };
  kind.bytes = [](const Message& fields, const LearnerFacts& facts) {
    return BytesOf(static_cast<const Fields&>(fields), facts);
  };
  kind.make = [](const Message& fields, const LearnerSetting& setting) {
    return Make(static_cast<const Fields&>(fields), setting);
  };
  return kind;
}

const LearnerKind* FindByField(int field) {
  for (const LearnerKind& kind : LearnerKinds()) {
    if (kind.field == field) return &kind;
  }
  return nullptr;
}

const Message& FieldsOf(const Message& message, const LearnerKind& kind) {
  return message.GetReflection()->GetMessage(message,
                                             message.GetDescriptor()->FindFieldByName(kind.name));
}

std::unique_ptr<Message> CompleteFieldsOf(const v1::TrainStep& train, const LearnerKind& kind,
                                          const LearnerFacts& facts) {
  const Message& given = FieldsOf(train, kind);
  std::unique_ptr<Message> fields(given.New());
  fields->CopyFrom(given);
  kind.complete(facts, fields.get());
  return fields;
}

}  // namespace

const std::vector<LearnerKind>& LearnerKinds() {
  static const std::vector<LearnerKind> kKinds = {
#define BEAMLINE_LEARNER(Fields, ...) Kind<v1::Fields>({__VA_ARGS__}),
#include "pipeline/learners/kinds.def"
#undef BEAMLINE_LEARNER
  };
  return kKinds;
}

const LearnerKind* FindLearnerKind(const v1::TrainStep& train) {
  return FindByField(train.learner_case());
}

const LearnerKind* FindLearnerKind(const v1::ModelCard& card) {
  return FindByField(card.learner().kind_case());
}

std::string LearnerField(const v1::TrainStep& train) {
  const FieldDescriptor* field =
      v1::TrainStep::descriptor()->FindFieldByNumber(train.learner_case());
  return field == nullptr ? "network" : field->name();
}

int EpochsOf(const v1::TrainStep& train) {
  if (const LearnerKind* kind = FindLearnerKind(train)) {
    if (kind->abilities.epochs.empty()) return 1;
    const std::unique_ptr<Message> fields = CompleteFieldsOf(train, *kind, {});
    return fields->GetReflection()->GetInt32(
        *fields, fields->GetDescriptor()->FindFieldByName(std::string(kind->abilities.epochs)));
  }
  const int32_t epochs =
      train.has_adversarial() ? train.adversarial().epochs() : train.network().epochs();
  return epochs > 0 ? epochs : kDefaultEpochs;
}

std::string EpochsField(const v1::TrainStep& train) {
  const LearnerKind* kind = FindLearnerKind(train);
  if (kind == nullptr) return LearnerField(train) + ".epochs";
  if (kind->abilities.epochs.empty()) return "";
  return absl::StrCat(kind->name, ".", std::string(kind->abilities.epochs));
}

LearnerTask TaskOf(const v1::TrainingData& data, bool is_class) {
  return Reconstructs(data)     ? LearnerTask::kReconstruct
         : Forecasts(data)      ? LearnerTask::kForecast
         : GivesNextToken(data) ? LearnerTask::kNextToken
         : EmbedsTokens(data)   ? LearnerTask::kEmbed
         : is_class             ? LearnerTask::kClasses
                                : LearnerTask::kNumbers;
}

bool PredictsClasses(const v1::TrainStep& train, v1::ColumnType type, int64_t distinct) {
  const LearnerKind* kind = FindLearnerKind(train);
  const bool open = train.data().target_kind() == v1::TARGET_KIND_UNSPECIFIED;
  if (kind != nullptr && open && kind->abilities.classes != kind->abilities.numbers) {
    return kind->abilities.classes;
  }
  return TargetIsClass(train.data(), train.network().loss(), type, distinct);
}

LearnerChoice ChooseLearner(const v1::TrainStep& train, const LearnerFacts& facts, uint64_t seed) {
  LearnerChoice choice;
  choice.kind = FindLearnerKind(train);
  if (choice.kind == nullptr) {
    engine::Fail("the learner \"", LearnerField(train), "\" is not built");
  }
  choice.facts = facts;
  choice.seed = seed;
  const auto* field = v1::Learner::descriptor()->FindFieldByNumber(choice.kind->field);
  choice.learner.GetReflection()
      ->MutableMessage(&choice.learner, field)
      ->CopyFrom(*CompleteFieldsOf(train, *choice.kind, facts));
  return choice;
}

LearnerChoice ChooseLearner(const v1::ModelCard& card, const LearnerFacts& facts) {
  LearnerChoice choice;
  choice.kind = FindLearnerKind(card);
  if (choice.kind == nullptr) engine::Fail("the model card has no learner that is known here");
  choice.learner = card.learner();
  choice.facts = facts;
  choice.seed = card.seed();
  return choice;
}

std::unique_ptr<engine::Learner> MakeLearner(const LearnerChoice& choice,
                                             const engine::LearnerData& data) {
  const LearnerSetting setting{
      .facts = choice.facts, .data = data, .seed = choice.seed, .threads = choice.threads};
  return choice.kind->make(FieldsOf(choice.learner, *choice.kind), setting);
}

double CheckLearnerFields(const v1::TrainStep& train, const LearnerFacts& facts,
                          const std::string& path, Violations* errors) {
  const LearnerKind& kind = *FindLearnerKind(train);
  const size_t before = errors->list().size();
  LearnerCheck check(facts, path, errors);
  kind.check(FieldsOf(train, kind), check);
  if (errors->list().size() > before) return 0;
  return kind.bytes(*CompleteFieldsOf(train, kind, facts), facts);
}

}  // namespace beamline::pipeline
