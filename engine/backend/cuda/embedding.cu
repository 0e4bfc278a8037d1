// Table look-up and its gradient.
//
// For the gradient of a small table each of its rows looks at all codes. Otherwise the codes are
// sorted by the row of the table they name, stably, a digit of the row at a time; the sorted codes
// are summed in pieces of one length, and the pieces of a row in order.
#include "engine/backend/cuda/kernels.h"

namespace beamline::engine::cuda {
namespace {

constexpr int64_t kColumns = 64;

// Some of the code columns and the first row of the table for each.
struct CodeColumns {
  const int32_t* codes;
  int64_t rows;
  int64_t columns;  // of all codes
  int64_t first, count;
  int64_t categories;
  int64_t offsets[kColumns];

  // The row of the table for a code of column first + c, or -1 for an unknown category.
  BEAMLINE_DEVICE int64_t TableRow(int64_t row, int64_t c) const {
    const int64_t code = codes[row * columns + first + c];
    const int64_t at = code + offsets[c];
    return code < 0 || at >= categories ? -1 : at;
  }
};

// Columns that share an offset are one long column to the kernels.
bool HasOneOffset(const KernelCall& call) {
  for (int64_t c = 1; c < call.inputs[1].columns; ++c) {
    if (call.offsets[c] != call.offsets[0]) return false;
  }
  return true;
}

CodeColumns ColumnsOf(const KernelCall& call, int64_t first, int64_t categories) {
  CodeColumns columns = {};
  columns.codes = In<int32_t>(call, 1);
  columns.categories = categories;
  columns.first = first;
  if (HasOneOffset(call)) {
    columns.rows = call.inputs[1].elements;
    columns.columns = 1;
  } else {
    columns.rows = call.inputs[1].rows;
    columns.columns = call.inputs[1].columns;
  }
  columns.count = math::Min(kColumns, columns.columns - first);
  for (int64_t c = 0; c < columns.count; ++c) columns.offsets[c] = call.offsets[first + c];
  return columns;
}

// Calls body(CodeColumns) for all columns, as many at a time as a launch takes.
template <typename Body>
void ForColumns(const KernelCall& call, int64_t categories, const Body& body) {
  int64_t first = 0;
  for (;;) {
    const CodeColumns columns = ColumnsOf(call, first, categories);
    body(columns);
    first += columns.count;
    if (first >= columns.columns) return;
  }
}

void LookUp(const RunState& run, const CodeColumns& columns, const float* table, int64_t width,
            float* y) {
  Cells(run, columns.rows, columns.count * width, [=] BEAMLINE_LAMBDA(int64_t row, int64_t at) {
    const int64_t from = columns.TableRow(row, at / width);
    const int64_t to = (row * columns.columns + columns.first) * width + at;
    y[to] = from < 0 ? 0.0f : table[from * width + at % width];
  });
}

}  // namespace

void Embedding(const KernelCall& call, const RunState& run) {
  ForColumns(call, call.inputs[0].rows, [&](const CodeColumns& columns) {
    LookUp(run, columns, In(call, 0), call.inputs[0].columns, Out(call, 0));
  });
}

namespace {

// A row of the table's gradient: a team lists the codes that name it, in order, and adds.
struct RowSum {
  CodeColumns columns;
  const float* dy;
  float* table;
  int64_t width;

  BEAMLINE_DEVICE bool Names(int code, int64_t table_row) const {
    if (columns.count == 1) return columns.TableRow(code, 0) == table_row;
    const auto count = static_cast<int>(columns.count);
    return columns.TableRow(code / count, code % count) == table_row;
  }

  BEAMLINE_DEVICE void operator()(Team<kBlock>& team) const {
    const auto codes = static_cast<int>(columns.rows * columns.count);
    const int each = (codes + kBlock - 1) / kBlock;
    const int64_t row = team.index();
    int32_t* counts = team.template shared<int32_t>();  // [kBlock]
    int32_t* list = counts + kBlock;                    // [codes]
    team.For(kBlock, [&](int64_t lane) {
      const int end = math::Min((static_cast<int>(lane) + 1) * each, codes);
      int32_t found = 0;
      for (int k = static_cast<int>(lane) * each; k < end; ++k) found += Names(k, row) ? 1 : 0;
      counts[lane] = found;
    });
    const auto found = team.template Sum<int32_t>(kBlock, [&](int64_t i) { return counts[i]; });
    team.For(found > 0 ? kBlock : 0, [&](int64_t lane) {
      if (counts[lane] == 0) return;
      int32_t at = 0;
      for (int64_t before = 0; before < lane; ++before) at += counts[before];
      const int end = math::Min((static_cast<int>(lane) + 1) * each, codes);
      for (int k = static_cast<int>(lane) * each; k < end; ++k) {
        if (Names(k, row)) list[at++] = k;
      }
    });
    team.For(width, [&](int64_t j) {
      float sum = 0;
      BEAMLINE_UNROLL8
      for (int i = 0; i < found; ++i) sum += dy[list[i] * width + j];
      table[row * width + j] = sum;
    });
  }
};

// To look at all codes for each row costs less than to sort them.
bool IsSmall(const KernelCall& call) {
  if (call.inputs[1].columns > kColumns && !HasOneOffset(call)) return false;
  const int64_t codes = call.inputs[1].elements;
  return codes <= 8192 && codes * call.outputs[0].rows <= int64_t{1} << 26;
}

// --- Sorting.

constexpr int64_t kDigits = 256;
constexpr int64_t kDigitBits = 8;
constexpr int64_t kChunk = 1024;  // codes that a team sorts
constexpr int64_t kPiece = 64;    // codes that a thread adds

int64_t Parts(int64_t n, int64_t size) { return (n + size - 1) / size; }

// Code `order[k]` names row `keys[k]` of the table, or `categories` if unknown: those are the last.
struct Sorted {
  int32_t* keys;
  int32_t* order;
};

// What sorting and summing keep in scratch memory.
struct Plan {
  int64_t codes, categories, width;
  int64_t chunks, pieces;
  Sorted from, to;
  int32_t* counts;  // [digits, chunks], then where the chunk's first code of a digit goes
  int32_t* totals;  // [digits]
  // The sorted codes of each row of the table: [begin, end), equal if there are none.
  int32_t* begin;
  int32_t* end;
  // Of each piece the sums of the codes that share a row with its first, and with its last code.
  float* edges;  // [pieces, 2, width]
  int64_t bytes;
};

Plan PlanOf(const KernelCall& call, std::byte* memory) {
  Plan plan = {};
  plan.codes = call.inputs[1].elements;
  plan.categories = call.outputs[0].rows;
  plan.width = call.outputs[0].columns;
  plan.chunks = Parts(plan.codes, kChunk);
  plan.pieces = Parts(plan.codes, kPiece);
  int64_t used = 0;
  const auto take = [&](int64_t numbers) {
    const int64_t at = used;
    used += Parts(numbers, 32) * 128;
    return memory == nullptr ? nullptr : memory + at;
  };
  const auto integers = [&](int64_t n) { return reinterpret_cast<int32_t*>(take(n)); };
  plan.from = {integers(plan.codes), integers(plan.codes)};
  plan.to = {integers(plan.codes), integers(plan.codes)};
  plan.counts = integers(kDigits * plan.chunks);
  plan.totals = integers(kDigits);
  plan.begin = integers(plan.categories);
  plan.end = integers(plan.categories);
  plan.edges = reinterpret_cast<float*>(take(plan.pieces * 2 * plan.width));
  plan.bytes = used;
  return plan;
}

void MakeKeys(const RunState& run, const Plan& plan, const CodeColumns& columns) {
  Cells(run, columns.rows, columns.count, [=] BEAMLINE_LAMBDA(int64_t row, int64_t c) {
    const int64_t i = row * columns.columns + columns.first + c;
    const int64_t table_row = columns.TableRow(row, c);
    plan.from.keys[i] = static_cast<int32_t>(table_row < 0 ? plan.categories : table_row);
    plan.from.order[i] = static_cast<int32_t>(i);
  });
}

BEAMLINE_DEVICE int32_t DigitOf(int32_t key, int shift) {
  return (key >> shift) & static_cast<int32_t>(kDigits - 1);
}

// counts[digit, chunk]: codes with that digit.
void CountDigits(const RunState& run, const Plan& plan, int shift) {
  constexpr int64_t kBytes = kChunk * static_cast<int64_t>(sizeof(int32_t));
  Teams<kBlock>(run, plan.chunks, kBytes, [=] BEAMLINE_LAMBDA(Team<kBlock> & team) {
    const int64_t first = team.index() * kChunk;
    const int64_t count = math::Min(kChunk, plan.codes - first);
    auto* digits = team.shared<int32_t>();
    team.For(count, [&](int64_t k) { digits[k] = DigitOf(plan.from.keys[first + k], shift); });
    team.For(kDigits, [&](int64_t digit) {
      const auto wanted = static_cast<int32_t>(digit);
      int32_t found = 0;
      for (int64_t k = 0; k < count; ++k) found += digits[k] == wanted ? 1 : 0;
      plan.counts[digit * plan.chunks + team.index()] = found;
    });
  });
}

// Counts become, for each digit, those in the chunks before; and totals.
void AddCounts(const RunState& run, const Plan& plan) {
  constexpr int64_t kBytes = kWarp * static_cast<int64_t>(sizeof(int32_t));
  Teams<kWarp>(run, kDigits, kBytes, [=] BEAMLINE_LAMBDA(Team<kWarp> & team) {
    int32_t* counts = plan.counts + team.index() * plan.chunks;
    auto* sums = team.shared<int32_t>();
    const int64_t each = (plan.chunks + kWarp - 1) / kWarp;
    team.For(kWarp, [&](int64_t lane) {
      const int64_t end = math::Min((lane + 1) * each, plan.chunks);
      int32_t sum = 0;
      for (int64_t chunk = lane * each; chunk < end; ++chunk) sum += counts[chunk];
      sums[lane] = sum;
    });
    team.For(kWarp, [&](int64_t lane) {
      const int64_t end = math::Min((lane + 1) * each, plan.chunks);
      int32_t before = 0;
      for (int64_t other = 0; other < lane; ++other) before += sums[other];
      for (int64_t chunk = lane * each; chunk < end; ++chunk) {
        const int32_t count = counts[chunk];
        counts[chunk] = before;
        before += count;
      }
      if (lane == kWarp - 1) plan.totals[team.index()] = before;
    });
  });
}

// Each code to its place by the digit.
void PlaceCodes(const RunState& run, const Plan& plan, int shift) {
  constexpr int64_t kBytes = (kDigits + kChunk) * static_cast<int64_t>(sizeof(int32_t));
  Teams<kBlock>(run, plan.chunks, kBytes, [=] BEAMLINE_LAMBDA(Team<kBlock> & team) {
    const int64_t first = team.index() * kChunk;
    const int64_t count = math::Min(kChunk, plan.codes - first);
    auto* totals = team.shared<int32_t>();
    int32_t* keys = totals + kDigits;
    team.For(kDigits, [&](int64_t digit) { totals[digit] = plan.totals[digit]; });
    team.For(count, [&](int64_t k) { keys[k] = plan.from.keys[first + k]; });
    team.For(kDigits, [&](int64_t digit) {
      int32_t at = plan.counts[digit * plan.chunks + team.index()];
      for (int64_t other = 0; other < digit; ++other) at += totals[other];
      const auto wanted = static_cast<int32_t>(digit);
      for (int64_t k = 0; k < count; ++k) {
        if (DigitOf(keys[k], shift) != wanted) continue;
        plan.to.keys[at] = keys[k];
        plan.to.order[at] = plan.from.order[first + k];
        ++at;
      }
    });
  });
}

// Sorts from `from` to `from`.
void Sort(const RunState& run, Plan* plan) {
  for (int shift = 0; shift < 31 && plan->categories >> shift != 0; shift += kDigitBits) {
    CountDigits(run, *plan, shift);
    AddCounts(run, *plan);
    PlaceCodes(run, *plan, shift);
    const Sorted done = plan->to;
    plan->to = plan->from;
    plan->from = done;
  }
}

// --- Summing.

// The rows of the table whose codes are all in one piece; else what the piece adds to them.
void SumPieces(const RunState& run, const Plan& plan, const float* dy, float* table) {
  Cells(run, plan.pieces, plan.width, [=] BEAMLINE_LAMBDA(int64_t piece, int64_t j) {
    const int32_t* keys = plan.from.keys;
    const int64_t first = piece * kPiece;
    const int64_t end = math::Min(first + kPiece, plan.codes);
    for (int64_t k = first; k < end;) {
      const int64_t begin = k;
      const int32_t row = keys[begin];
      if (row == plan.categories) return;
      float sum = 0;
      for (; k < end && keys[k] == row; ++k) {
        sum += dy[static_cast<int64_t>(plan.from.order[k]) * plan.width + j];
      }
      const bool begins = begin > first || begin == 0 || keys[begin - 1] != row;
      const bool ends = k < end || k == plan.codes || keys[k] != row;
      if (j == 0 && begins) plan.begin[row] = static_cast<int32_t>(begin);
      if (j == 0 && ends) plan.end[row] = static_cast<int32_t>(k);
      if (begins && ends) {
        table[row * plan.width + j] = sum;
      } else {
        plan.edges[(piece * 2 + (begin > first ? 1 : 0)) * plan.width + j] = sum;
      }
    }
  });
}

// The other rows: those of many codes, and of none.
void SumRows(const RunState& run, const Plan& plan, float* table) {
  Teams<kWarp>(run, plan.categories, 0, [=] BEAMLINE_LAMBDA(Team<kWarp> & team) {
    const int64_t begin = plan.begin[team.index()];
    const int64_t end = plan.end[team.index()];
    float* to = table + team.index() * plan.width;
    if (begin == end) return team.For(plan.width, [&](int64_t j) { to[j] = 0; });
    const int64_t first = begin / kPiece;
    const int64_t count = (end - 1) / kPiece - first + 1;
    if (count == 1) return;
    const int64_t edge = begin % kPiece != 0 ? 1 : 0;
    for (int64_t j = 0; j < plan.width; ++j) {
      const float sum = team.Sum<float>(count, [&](int64_t i) {
        const int64_t at = (first + i) * 2 + (i == 0 ? edge : 0);
        return plan.edges[at * plan.width + j];
      });
      team.Once([&] { to[j] = sum; });
    }
  });
}

}  // namespace

Scratch EmbeddingGradScratch(const KernelCall& call) { return {PlanOf(call, nullptr).bytes, 0}; }

void EmbeddingGrad(const KernelCall& call, const RunState& run) {
  const float* dy = In(call, 0);
  float* table = Out(call, 0);
  const int64_t categories = call.outputs[0].rows;
  const int64_t width = call.outputs[0].columns;
  if (IsSmall(call)) {
    const CodeColumns columns = ColumnsOf(call, 0, categories);
    const int64_t bytes = (kBlock + call.inputs[1].elements + 3) / 4 * 16;
    return Teams<kBlock>(run, categories, bytes, RowSum{columns, dy, table, width});
  }
  Plan plan = PlanOf(call, run.shared_scratch);
  Each(run, categories, [=] BEAMLINE_LAMBDA(int64_t row) {
    plan.begin[row] = 0;
    plan.end[row] = 0;
  });
  ForColumns(call, categories, [&](const CodeColumns& columns) { MakeKeys(run, plan, columns); });
  Sort(run, &plan);
  SumPieces(run, plan, dy, table);
  SumRows(run, plan, table);
}

}  // namespace beamline::engine::cuda
