#!/usr/bin/python3
"""Records ten training steps of PyTorch for parity_test.cc.

Needs Debian's python3-torch. The output is committed, so this is run only to widen it:
    tests/engine/parity/make_fixture.py > tests/engine/parity/fixture.txt

Format: lines "name value value ...". "case NAME" begins a case; tensors are row-major; weights
are [inputs, units], the transpose of PyTorch's.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

ROWS, FEATURES, BATCH, STEPS = 80, 6, 16, 10


def write(name, tensor):
    print(name, " ".join(f"{x:.9g}" for x in tensor.detach().flatten().tolist()))


def network(activation, outputs, norm):
    layers = [nn.Linear(FEATURES, 16), activation()]
    if norm == "batch":
        layers.append(nn.BatchNorm1d(16))
    if norm == "layer":
        layers.append(nn.LayerNorm(16))
    return nn.Sequential(*layers, nn.Linear(16, 8), activation(), nn.Linear(8, outputs))


def parameters(model):
    """(name of ours, tensor in our layout)"""
    dense = 0
    for layer in model:
        if isinstance(layer, nn.Linear):
            yield f"dense{dense}.weight", layer.weight.t()
            yield f"dense{dense}.bias", layer.bias
            dense += 1
        if isinstance(layer, (nn.BatchNorm1d, nn.LayerNorm)):
            yield "norm.gamma", layer.weight
            yield "norm.beta", layer.bias
        if isinstance(layer, nn.BatchNorm1d):
            yield "norm.running_mean", layer.running_mean
            yield "norm.running_variance", layer.running_var


def weighted(losses, weights):
    return (losses * weights).sum() / weights.abs().sum()


def bce(out, labels, weights):
    losses = F.binary_cross_entropy_with_logits(out.flatten(), labels.float(), reduction="none")
    return weighted(losses, weights)


def ce(out, labels, weights):
    class_weights = torch.tensor([1.0, 2.0, 0.5])
    losses = F.cross_entropy(out, labels, reduction="none")
    return weighted(losses, weights * class_weights[labels])


def mse(out, labels, weights):
    return weighted((out.flatten() - labels.float()) ** 2, weights)


def huber(out, labels, weights):
    losses = F.huber_loss(out.flatten(), labels.float(), reduction="none", delta=0.5)
    return weighted(losses, weights)


class Lamb(torch.optim.Optimizer):
    """Algorithm 2 of You et al. 2020, written down as it stands there."""

    def __init__(self, params, lr, weight_decay):
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay))
        self.t = 0

    @torch.no_grad()
    def step(self):
        self.t += 1
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                m = state.setdefault("m", torch.zeros_like(p))
                v = state.setdefault("v", torch.zeros_like(p))
                m.copy_(0.9 * m + 0.1 * p.grad)
                v.copy_(0.999 * v + 0.001 * p.grad ** 2)
                r = m / (1 - 0.9 ** self.t) / (torch.sqrt(v / (1 - 0.999 ** self.t)) + 1e-8)
                u = r + group["weight_decay"] * p
                ratio = p.norm() / u.norm() if p.norm() > 0 and u.norm() > 0 else 1.0
                p.sub_(group["lr"] * ratio * u)


def split_decay(parameters):
    """Weights decay, biases do not."""
    parameters = list(parameters)
    return [{"params": [p for p in parameters if p.dim() > 1]},
            {"params": [p for p in parameters if p.dim() == 1], "weight_decay": 0.0}]


CASES = {
    "adam_ce_relu": (nn.ReLU, 3, None, ce, None, lambda p: torch.optim.Adam(p, 0.01)),
    "adamw_bce_gelu_layernorm": (nn.GELU, 1, "layer", bce, None,
                                 lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1)),
    "nesterov_bce_tanh_batchnorm": (nn.Tanh, 1, "batch", bce, None,
                                    lambda p: torch.optim.SGD(p, 0.1, 0.9, nesterov=True,
                                                              weight_decay=0.01)),
    "momentum_mse_selu_clip": (nn.SELU, 1, None, mse, 0.5,
                               lambda p: torch.optim.SGD(p, 0.05, 0.9)),
    "rmsprop_huber_silu": (nn.SiLU, 1, None, huber, None,
                           lambda p: torch.optim.RMSprop(p, 0.003, alpha=0.9, eps=1e-8)),
    "adagrad_mse_elu": (nn.ELU, 1, None, mse, None,
                        lambda p: torch.optim.Adagrad(p, 0.05, eps=1e-10)),
    "lamb_ce_tanh": (nn.Tanh, 3, None, ce, None, lambda p: Lamb(p, 0.01, 0.1)),
    "lamb_mse_relu_split_decay": (nn.ReLU, 1, None, mse, None,
                                  lambda p: Lamb(split_decay(p), 0.02, 0.3)),
    "adamw_ce_relu_split_decay": (nn.ReLU, 3, None, ce, None,
                                  lambda p: torch.optim.AdamW(split_decay(p), 0.01,
                                                              weight_decay=0.2)),
    "rmsprop_mse_tanh_momentum": (nn.Tanh, 1, None, mse, None,
                                  lambda p: torch.optim.RMSprop(p, 0.003, alpha=0.9, eps=1e-8,
                                                                momentum=0.8, weight_decay=0.05)),
    "adagrad_mse_tanh_value_clip": (nn.Tanh, 1, None, mse, -0.05,
                                    lambda p: torch.optim.Adagrad(p, 0.05, eps=1e-10,
                                                                  weight_decay=0.1)),
}


def record(name, activation, outputs, norm, loss, clip, optimizer):
    torch.manual_seed(len(name))
    features = torch.randn(ROWS, FEATURES)
    labels = torch.randint(0, 3 if loss is ce else 2, (ROWS,))
    weights = torch.rand(ROWS) * 2 - 0.2
    model = network(activation, outputs, norm)
    print("case", name)
    write("features", features)
    write("labels", labels.float())
    write("weights", weights)
    for key, tensor in parameters(model):
        write("initial:" + key, tensor)
    chosen = optimizer(model.parameters())
    losses = []
    for step in range(STEPS):
        rows = torch.arange(BATCH) + step * BATCH % ROWS
        chosen.zero_grad()
        value = loss(model(features[rows]), labels[rows], weights[rows])
        value.backward()
        if clip and clip < 0:
            torch.nn.utils.clip_grad_value_(model.parameters(), -clip)
        elif clip:
            # PyTorch's own clipping adds 1e-6 to the norm.
            norm_now = torch.sqrt(sum((p.grad ** 2).sum() for p in model.parameters()))
            scale = torch.clamp(clip / norm_now, max=1.0)
            for p in model.parameters():
                p.grad.mul_(scale)
        chosen.step()
        losses.append(value.detach())
    write("losses", torch.stack(losses))
    for key, tensor in parameters(model):
        write("final:" + key, tensor)


torch.set_num_threads(1)
for case, arguments in CASES.items():
    record(case, *arguments)
