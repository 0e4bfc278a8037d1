#!/usr/bin/python3
"""Records ten training steps of PyTorch's autoencoders for autoencoder_test.cc.

Needs Debian's python3-torch. The output is committed, so this is run only to widen it:
    tests/engine/parity/make_autoencoders.py > tests/engine/parity/autoencoders.txt

Format as make_fixture.py's. The noise of the latent code is drawn here a second time, by Philox4x32-10
(Salmon et al. 2011) and Box and Muller, from (seed, step, element).
"""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

ROWS, FEATURES, CODE, BATCH, STEPS, SEED = 80, 6, 3, 16, 10, 123456789123


def philox(k0, k1, c):
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k0, p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k1, p0 & 0xFFFFFFFF]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c


def noise(step, rows, columns):
    values = []
    for block in range((rows * columns + 3) // 4):
        words = philox(SEED & 0xFFFFFFFF, SEED >> 32, [block, 0, step, 0])
        u = [(word >> 8) * 2.0 ** -24 for word in words]
        for i in (0, 2):
            radius = np.sqrt(-2 * np.log(1 - u[i]))
            values += [radius * np.cos(2 * np.pi * u[i + 1]), radius * np.sin(2 * np.pi * u[i + 1])]
    return torch.tensor(values[:rows * columns], dtype=torch.float32).reshape(rows, columns)


def write(name, tensor):
    print(name, " ".join(f"{x:.9g}" for x in tensor.detach().flatten().tolist()))


def mean(rows, weights):
    return (rows * weights).sum() / weights.abs().sum()


def reconstruction(loss, out, x, weights):
    if loss == "bce":
        return mean(F.binary_cross_entropy_with_logits(out, x, reduction="none").mean(1), weights)
    return mean(((out - x) ** 2).mean(1), weights)


def record(name, loss, latent=None, sparse=None, l1=0.0, penalty=(0.0, 0.0)):
    torch.manual_seed(len(name))
    x, weights = torch.rand(ROWS, FEATURES), torch.rand(ROWS) * 2 - 0.2
    narrow = CODE * 2 if latent is not None else CODE
    layers = [nn.Linear(FEATURES, 16), nn.Linear(16, narrow), nn.Linear(CODE, 16),
              nn.Linear(16, FEATURES)]
    print("case", name)
    write("features", x)
    write("weights", weights)
    named = [(f"dense{i}.{part}", getattr(layer, part)) for i, layer in enumerate(layers)
             for part in ("weight", "bias")]
    ours = lambda key, tensor: tensor.t() if key.endswith("weight") else tensor
    for key, tensor in named:
        write("initial:" + key, ours(key, tensor))
    optimizer = torch.optim.Adam([tensor for _, tensor in named], 0.01)
    losses, mains = [], []
    for step in range(STEPS):
        rows = torch.arange(BATCH) + step * BATCH % ROWS
        w = weights[rows]
        code = layers[1](torch.tanh(layers[0](x[rows])))
        extra = torch.zeros(())
        if latent is not None:
            mu, log_variance = code[:, :CODE], code[:, CODE:]
            kl = -0.5 * (1 + log_variance - mu ** 2 - log_variance.exp()).sum(1)
            extra = latent / FEATURES * mean(kl, w)
            code = mu + torch.exp(log_variance / 2) * noise(step, BATCH, CODE)
        elif sparse is not None:
            code = torch.sigmoid(code)
            weight, r = sparse
            m = (code * w.abs()[:, None]).sum(0) / w.abs().sum()
            extra = weight * (r * torch.log(r / m) + (1 - r) * torch.log((1 - r) / (1 - m))).sum()
        extra = extra + l1 * mean(code.abs().sum(1), w.abs())
        for key, tensor in named:
            if key.endswith("weight"):
                extra = extra + penalty[0] * tensor.abs().sum() + penalty[1] * (tensor ** 2).sum()
        main = reconstruction(loss, layers[3](torch.tanh(layers[2](code))), x[rows], w)
        optimizer.zero_grad()
        (main + extra).backward()
        optimizer.step()
        losses.append((main + extra).detach())
        mains.append(main.detach())
    write("losses", torch.stack(losses))
    write("main_losses", torch.stack(mains))
    for key, tensor in named:
        write("final:" + key, ours(key, tensor))


torch.set_num_threads(1)
record("variational_bce", "bce", latent=1.0)
record("variational_mse_beta", "mse", latent=0.3)
record("sparse_bce", "bce", sparse=(0.2, torch.tensor(0.1)))
record("sparse_mse_l1", "mse", l1=0.05)
record("plain_mse_penalty", "mse", penalty=(0.001, 0.01))
