// Clipping, penalties and averages of weights.
#include "absl/strings/str_cat.h"
#include "pipeline/schema.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {

void CheckSteering(Context& context, const std::string& path, const v1::TrainStep& train) {
  const v1::NetworkLearner& network = train.network();
  CheckRange(context, path + ".clip_value", network.clip_value(), 1e-9, 1e9);
  CheckRange(context, path + ".weight_penalty.l1", network.weight_penalty().l1(), 0, 1e6);
  CheckRange(context, path + ".weight_penalty.l2", network.weight_penalty().l2(), 0, 1e6);
  const v1::WeightAveraging& averaging = network.averaging();
  const std::string at = path + ".averaging";
  if (network.has_averaging() && averaging.kind_case() == v1::WeightAveraging::KIND_NOT_SET) {
    context.errors.Add(at, "does not say how: give exponential or stochastic");
  }
  CheckRange(context, at + ".exponential.decay", averaging.exponential().decay(), 0, 0.9999999999);
  const int32_t epochs = network.epochs() > 0 ? network.epochs() : 10;
  const int32_t start = averaging.stochastic().start_epoch();
  if (start < 0 || start > epochs) {
    context.errors.Add(at + ".stochastic.start_epoch",
                       absl::StrCat("must be from 1 to the epochs, ", epochs, ", not ", start));
  }
  if (network.schedule().has_plateau() && !HasValidationRows(train.data().split())) {
    context.errors.Add(path + ".schedule.plateau",
                       "needs validation rows: give the split a validation part, such as "
                       "\"split: {random: {validation: 0.1}}\"");
  }
}

}  // namespace beamline::pipeline::validation
