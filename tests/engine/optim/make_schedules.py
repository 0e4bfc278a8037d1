#!/usr/bin/python3
"""Prints PyTorch's learning rates for steering_test.cc: "NAME rate rate ...", one per step.

Needs Debian's python3-torch:
    tests/engine/optim/make_schedules.py > tests/engine/optim/schedules.txt
"""

import torch
from torch.optim import lr_scheduler as s

STEPS = 20


def rates(name, make, losses=None):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
    schedule = make(optimizer)
    values = []
    for step in range(STEPS):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step(*([losses[step]] if losses else []))
    print(name, " ".join(f"{v:.15g}" for v in values))


LOSSES = [5, 4, 4, 4.5, 3.95, 4, 4, 4, 3, 3, 3, 3, 3, 2, 1, 1, 1, 1, 1, 1]
rates("linear", lambda o: s.LinearLR(o, 1.0, 0.25, STEPS))
rates("polynomial", lambda o: s.PolynomialLR(o, STEPS, 2.5))
rates("one_cycle", lambda o: s.OneCycleLR(o, 0.1, STEPS, cycle_momentum=False))
rates("cosine", lambda o: s.CosineAnnealingLR(o, STEPS, 0.01))
# PyTorch reduces after more than `patience` epochs: one later than we count.
rates("plateau", lambda o: s.ReduceLROnPlateau(o, factor=0.5, patience=1, threshold=0.1,
                                               threshold_mode="abs", min_lr=0.02), LOSSES)
