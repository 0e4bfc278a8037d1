// Tables that programs and models make. Only for the files execute*.cc.
#pragma once

#include <string>

#include "pipeline/execute_internal.h"

namespace beamline::pipeline::execution {

// The table that the program of a command step, which has ended, left as outputs/NAME.csv in
// `folder`: read as an uploaded CSV file is (header, commas), and left as the artifact "table",
// described in the result. Throws engine::Error if there is none or it cannot be read as a table;
// TaskFailure (OUT_OF_MEMORY, INFRASTRUCTURE) if the machine is at fault.
void TakeTable(Task& task, const std::string& folder, v1::TaskEnd* end);

// What the validation could not know of a step that reads tables of command or predict steps,
// directly or by way of prepare steps: their columns. Checked by the same rules, with the tables as
// they are. TaskFailure (USER) with the first thing that is wrong with this step.
void CheckMadeTables(const Task& task);

}  // namespace beamline::pipeline::execution
