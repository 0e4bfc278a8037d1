#include "pipeline/predict.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <span>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/core/error.h"
#include "pipeline/adversarial.h"
#include "pipeline/measure.h"
#include "pipeline/model_file.h"
#include "pipeline/reconstruction.h"
#include "pipeline/schema.h"
#include "pipeline/training.h"
#include "pipeline/violation.h"

namespace beamline::pipeline {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;
using Rows = google::protobuf::RepeatedPtrField<Struct>;

// Learners that wait for work; more than this are not kept.
constexpr size_t kMaxIdleLearners = 8;
constexpr double kExactInteger = 9007199254740992.0;
constexpr int64_t kMaxSample = int64_t{1} << 40;

std::string Place(int row, const std::string& column) {
  return absl::StrCat("row ", row + 1, ", column \"", column, "\": ");
}

// A number in a row, NaN for null; throws Error for anything else.
double ToNumber(const Value& value, const v1::Column& column, int row) {
  switch (value.kind_case()) {
    case Value::kNullValue:
      return std::numeric_limits<double>::quiet_NaN();
    case Value::kNumberValue:
      if (!std::isfinite(value.number_value())) {
        engine::Fail(Place(row, column.name()), "the number is not finite");
      }
      return value.number_value();
    case Value::kBoolValue:
      if (column.type() == v1::COLUMN_TYPE_BOOL) return value.bool_value() ? 1 : 0;
      [[fallthrough]];
    default:
      engine::Fail(Place(row, column.name()), column.type() == v1::COLUMN_TYPE_BOOL
                                                  ? "expected true or false"
                                                  : "expected a number");
  }
}

// The value of a text column as text; "" for null.
std::string ToText(const Value& value, const v1::Column& column, int row) {
  if (value.kind_case() == Value::kNullValue) return "";
  if (value.kind_case() != Value::kStringValue) {
    engine::Fail(Place(row, column.name()), "expected text");
  }
  return value.string_value();
}

const Value& FieldOf(const Struct& row, const v1::Column& column, int index) {
  const auto found = row.fields().find(column.name());
  if (found == row.fields().end()) {
    engine::Fail(Place(index, column.name()), "is missing: give a value, or null if it is unknown");
  }
  return found->second;
}

// Appends a list of numbers nested as `shape` says; false if it is not.
bool AppendNested(const Value& value, std::span<const int64_t> shape, const v1::Column& column,
                  int row, std::vector<double>* values) {
  const auto& items = value.list_value().values();
  if (value.kind_case() != Value::kListValue || items.size() != shape[0]) return false;
  return std::all_of(items.begin(), items.end(), [&](const Value& item) {
    if (shape.size() > 1) return AppendNested(item, shape.subspan(1), column, row, values);
    values->push_back(ToNumber(item, column, row));
    return true;
  });
}

// The values of one row of a column whose rows hold several numbers: a flat list, or lists nested
// as the item's shape.
void AppendItem(const Value& value, const v1::Column& column, int row, int64_t size,
                std::vector<double>* values) {
  const auto& items = value.list_value().values();
  const bool nested = !items.empty() && items[0].kind_case() == Value::kListValue;
  const std::vector<int64_t> flat = {size};
  const std::vector<int64_t> shape(column.item_shape().begin(), column.item_shape().end());
  if (AppendNested(value, nested ? shape : flat, column, row, values)) return;
  engine::Fail(
      Place(row, column.name()), "expected a list of ", size, " numbers",
      shape.size() > 1 ? absl::StrCat(", or lists nested as ", absl::StrJoin(shape, " x ")) : "");
}

// A column of whole numbers with a validity bit for each row.
template <typename T>
engine::data::Column IntegerColumn(const v1::Column& column, engine::data::ColumnType type,
                                   const std::vector<double>& numbers) {
  struct Storage {
    std::vector<T> values;
    std::vector<uint8_t> validity;
  };
  auto storage = std::make_shared<Storage>();
  storage->values.resize(numbers.size());
  storage->validity.resize((numbers.size() + 7) / 8);
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (std::isnan(numbers[i])) continue;
    if (numbers[i] != std::floor(numbers[i]) || std::abs(numbers[i]) > kExactInteger ||
        numbers[i] < static_cast<double>(std::numeric_limits<T>::lowest()) ||
        numbers[i] > static_cast<double>(std::numeric_limits<T>::max())) {
      engine::Fail(Place(static_cast<int>(i), column.name()), "expected a whole number",
                   sizeof(T) < sizeof(int64_t) ? " in the range of the column" : "");
    }
    storage->values[i] = static_cast<T>(numbers[i]);
    storage->validity[i / 8] = static_cast<uint8_t>(storage->validity[i / 8] | (1U << (i % 8)));
  }
  engine::data::Column::Parts parts;
  parts.name = column.name();
  parts.type = type;
  parts.rows = static_cast<int64_t>(numbers.size());
  parts.values = storage->values.data();
  parts.validity = storage->validity.data();
  parts.owner = storage;
  return engine::data::Column(std::move(parts));
}

engine::data::Column BuildColumn(const v1::Column& column, const Rows& rows) {
  if (IsText(column.type())) {
    std::vector<std::string> texts;
    for (int i = 0; i < rows.size(); ++i) {
      texts.push_back(ToText(FieldOf(rows[i], column, i), column, i));
    }
    return engine::data::Column::OfStrings(column.name(), texts);
  }
  std::vector<double> numbers;
  const std::vector<int64_t> shape(column.item_shape().begin(), column.item_shape().end());
  int64_t size = 1;
  for (const int64_t extent : shape) size *= extent;
  for (int i = 0; i < rows.size(); ++i) {
    const Value& value = FieldOf(rows[i], column, i);
    if (shape.empty()) {
      numbers.push_back(ToNumber(value, column, i));
    } else {
      AppendItem(value, column, i, size, &numbers);
    }
  }
  if (!shape.empty()) return engine::data::Column::Of(column.name(), std::move(numbers), shape);
  switch (column.type()) {
    case v1::COLUMN_TYPE_BOOL:
      return IntegerColumn<uint8_t>(column, engine::data::ColumnType::kBool, numbers);
    case v1::COLUMN_TYPE_UINT8:
      return IntegerColumn<uint8_t>(column, engine::data::ColumnType::kUint8, numbers);
    case v1::COLUMN_TYPE_INT32:
      return IntegerColumn<int32_t>(column, engine::data::ColumnType::kInt32, numbers);
    case v1::COLUMN_TYPE_INT64:
      return IntegerColumn<int64_t>(column, engine::data::ColumnType::kInt64, numbers);
    default:
      return engine::data::Column::Of(column.name(), std::move(numbers));
  }
}

}  // namespace

struct Predictor::State {
  ModelFile model;
  Inference inference;
  std::set<std::string> ignored;  // fields of a row that the model has no use for
  std::vector<std::string> column_names;

  std::mutex mutex;
  std::vector<std::unique_ptr<engine::Learner>> idle;  // guarded by mutex

  std::unique_ptr<engine::Learner> Take() {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      if (!idle.empty()) {
        std::unique_ptr<engine::Learner> learner = std::move(idle.back());
        idle.pop_back();
        return learner;
      }
    }
    auto learner = MakeLearner(inference);
    learner->SetWeights(model.tensors);
    return learner;
  }
  void Return(std::unique_ptr<engine::Learner> learner) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (idle.size() < kMaxIdleLearners) idle.push_back(std::move(learner));
  }

  // Throws Error for a field that is no column.
  void CheckFields(const Rows& rows) const {
    for (int i = 0; i < rows.size(); ++i) {
      for (const auto& [name, value] : rows[i].fields()) {
        if (ignored.contains(name) ||
            std::find(column_names.begin(), column_names.end(), name) != column_names.end()) {
          continue;
        }
        engine::Fail(Place(i, name), "the model has no such column", Hint(name, column_names));
      }
    }
  }
};

Predictor::Predictor(std::unique_ptr<State> state) : state_(std::move(state)) {}
Predictor::~Predictor() = default;

const v1::ModelCard& Predictor::card() const { return state_->model.card; }

absl::StatusOr<std::unique_ptr<Predictor>> Predictor::Load(std::string_view model_file) {
  absl::StatusOr<ModelFile> model = DecodeModel(model_file);
  if (!model.ok()) return model.status();
  auto state = std::make_unique<State>();
  state->model = *std::move(model);
  const v1::ModelCard& card = state->model.card;
  for (const v1::Column& column : card.columns()) state->column_names.push_back(column.name());
  state->ignored = {card.target(), card.data().weight(), card.data().split().column().column(),
                    card.data().train_on().column()};
  state->ignored.insert(card.data().exclude().begin(), card.data().exclude().end());
  try {
    state->inference = PrepareInference(card);
    state->Return(state->Take());
  } catch (const engine::Error& error) {
    return absl::InvalidArgumentError(absl::StrCat("not a usable model: ", error.what()));
  }
  return std::unique_ptr<Predictor>(new Predictor(std::move(state)));
}

absl::StatusOr<std::vector<v1::Prediction>> Predictor::Predict(const Rows& rows,
                                                               bool reconstruction,
                                                               int64_t first_sample) const {
  if (rows.size() > kMaxPredictRows) {
    return absl::InvalidArgumentError(absl::StrCat("there are ", rows.size(), " rows; at most ",
                                                   kMaxPredictRows, " are answered at once"));
  }
  if (rows.empty()) return std::vector<v1::Prediction>{};
  if (reconstruction && !Reconstructs(card().data())) {
    return absl::InvalidArgumentError(
        "reconstruction: the model predicts and reconstructs nothing");
  }
  const int64_t most = kMaxReconstructionNumbers / std::max(card().features_size(), 1);
  const bool generates = card().has_adversarial();
  if ((reconstruction || generates) && rows.size() > std::max<int64_t>(most, 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "there are ", rows.size(), " rows; ", generates ? "samples for" : "reconstructions of",
        " at most ", std::max<int64_t>(most, 1), " are given at once by this model"));
  }
  if (first_sample < 0 || first_sample > kMaxSample) {
    return absl::InvalidArgumentError(
        absl::StrCat("first_sample: must be from 0 to ", kMaxSample, ", not ", first_sample));
  }
  if (first_sample != 0 && !generates) {
    return absl::InvalidArgumentError("first_sample: the model predicts and generates nothing");
  }
  try {
    state_->CheckFields(rows);
    if (generates) {
      std::unique_ptr<engine::Learner> learner = state_->Take();
      auto samples = DrawSamples(*learner, first_sample, rows.size(), state_->inference.layout,
                                 state_->inference.transforms);
      state_->Return(std::move(learner));
      return samples;
    }
    std::vector<engine::data::Column> columns;
    for (const v1::Column& column : card().columns()) columns.push_back(BuildColumn(column, rows));
    const engine::data::Table table(std::move(columns));
    const RowSource source(state_->inference.transforms, table, engine::data::AllRows(table),
                           state_->inference.layout, {}, std::numeric_limits<int64_t>::max());
    std::unique_ptr<engine::Learner> learner = state_->Take();
    std::vector<v1::Prediction> predictions;
    if (Reconstructs(card().data())) {
      predictions =
          PredictReconstruction(*learner, source, state_->inference.transforms, reconstruction);
    } else {
      predictions = ToPredictions(ToSaid(learner->Predict(source), card()), card());
    }
    state_->Return(std::move(learner));
    return predictions;
  } catch (const engine::Error& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

}  // namespace beamline::pipeline
