#include "pipeline/changeable.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "google/protobuf/util/message_differencer.h"

namespace beamline::pipeline {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::util::MessageDifferencer;

// Numbers that change neither the weights, nor what the optimiser keeps of them, nor the batches.
constexpr std::string_view kChangeable[] = {
    "ActivityPenalty.l1",
    "ActivityPenalty.target",
    "ActivityPenalty.weight",
    "AdaGrad.epsilon",
    "AdaGrad.learning_rate",
    "AdaGrad.weight_decay",
    "Adam.beta1",
    "Adam.beta2",
    "Adam.epsilon",
    "Adam.learning_rate",
    "Adam.weight_decay",
    "CosineSchedule.final_fraction",
    "CrossEntropy.label_smoothing",
    "Dropout.rate",
    "ExponentialSchedule.factor",
    "Focal.gamma",
    "GraphConv.dropout",
    "Huber.delta",
    "InfoNce.temperature",
    "Latent.beta",
    "LinearSchedule.final_fraction",
    "NetworkLearner.clip_norm",
    "NetworkLearner.clip_value",
    "Noise.deviation",
    "Noise.masking",
    "PolynomialSchedule.final_fraction",
    "PolynomialSchedule.power",
    "RmsProp.decay",
    "RmsProp.epsilon",
    "RmsProp.learning_rate",
    "RmsProp.weight_decay",
    "Sgd.learning_rate",
    "Sgd.weight_decay",
    "StepSchedule.factor",
    "Triplet.margin",
    "WeightPenalty.l1",
    "WeightPenalty.l2",
};
// The same as long as both are above 0: at 0 the optimiser keeps less.
constexpr std::string_view kChangeableAboveZero[] = {"RmsProp.momentum", "Sgd.momentum"};

template <size_t kSize>
bool Has(const std::string_view (&names)[kSize], const std::string& name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

std::string Difference(const Message& a, const Message& b);

std::string NumberDifference(const Message& a, const Message& b, const FieldDescriptor* field) {
  const double x = a.GetReflection()->GetDouble(a, field);
  const double y = b.GetReflection()->GetDouble(b, field);
  const std::string name = absl::StrCat(A(field->containing_type()->name()), ".", A(field->name()));
  const bool may = Has(kChangeable, name) || (Has(kChangeableAboveZero, name) && x > 0 && y > 0);
  return x == y || may ? "" : std::string(field->name());
}

std::string FieldDifference(const Message& a, const Message& b, const FieldDescriptor* field) {
  const auto* in_a = a.GetReflection();
  const auto* in_b = b.GetReflection();
  std::string name(field->name());
  const auto below = [&](const std::string& place, const Message& x, const Message& y) {
    const std::string found = Difference(x, y);
    return found.empty() ? found : absl::StrCat(place, ".", found);
  };
  if (field->is_repeated()) {
    const int size = in_a->FieldSize(a, field);
    if (size != in_b->FieldSize(b, field)) return name;
    const bool walk = field->message_type() != nullptr && !field->is_map();
    for (int i = 0; walk && i < size; ++i) {
      const std::string found =
          below(absl::StrCat(name, ".", i), in_a->GetRepeatedMessage(a, field, i),
                in_b->GetRepeatedMessage(b, field, i));
      if (!found.empty()) return found;
    }
    if (walk) return "";
  } else if (field->message_type() != nullptr) {
    const bool kind = field->real_containing_oneof() != nullptr;
    if (kind && in_a->HasField(a, field) != in_b->HasField(b, field)) return name;
    return below(name, in_a->GetMessage(a, field), in_b->GetMessage(b, field));
  } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
    return NumberDifference(a, b, field);
  }
  MessageDifferencer differencer;
  return differencer.CompareWithFields(a, b, {field}, {field}) ? "" : name;
}

std::string Difference(const Message& a, const Message& b) {
  const Descriptor* type = a.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    std::string found = FieldDifference(a, b, type->field(i));
    if (!found.empty()) return found;
  }
  return "";
}

}  // namespace

std::string FixedDifference(const v1::TrainStep& a, const v1::TrainStep& b) {
  return Difference(a, b);
}

}  // namespace beamline::pipeline
