#!/usr/bin/python3
"""Records ten alternating steps of PyTorch's adversarial training for adversarial_parity_test.cc.

Needs Debian's python3-torch. The output is committed, so this is run only to widen it:
    tests/engine/parity/make_adversarial.py > tests/engine/parity/adversarial.txt

Format as make_fixture.py's. Latent numbers and the shares of the gradient penalty are recorded too:
the engine is given them. A network's batch norm changes its running statistics in its own step only.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

ROWS, FEATURES, LATENT, BATCH, STEPS = 80, 5, 3, 16, 10


def write(name, tensor):
    print(name, " ".join(f"{x:.9g}" for x in tensor.detach().flatten().tolist()))


def network(inputs, outputs, activation, norm):
    layers = [nn.Linear(inputs, 12), activation()]
    if norm:
        layers.append(norm(12))
    return nn.Sequential(*layers, nn.Linear(12, 12), activation(), nn.Linear(12, outputs))


def tensors(prefix, model):
    """(name of ours, tensor in our layout)"""
    dense = 0
    for layer in model:
        if isinstance(layer, nn.Linear):
            yield f"{prefix}/dense{dense}.weight", layer.weight.t()
            yield f"{prefix}/dense{dense}.bias", layer.bias
            dense += 1
        if isinstance(layer, (nn.BatchNorm1d, nn.LayerNorm)):
            yield f"{prefix}/norm.gamma", layer.weight
            yield f"{prefix}/norm.beta", layer.bias
        if isinstance(layer, nn.BatchNorm1d):
            yield f"{prefix}/norm.running_mean", layer.running_mean
            yield f"{prefix}/norm.running_variance", layer.running_var


def keep_statistics(model, keep):
    for layer in model:
        if isinstance(layer, nn.BatchNorm1d):
            layer.momentum = 0.0 if keep else 0.1


def discriminator_loss(loss, real, fake):
    if loss == "bce":
        return (F.binary_cross_entropy_with_logits(real, torch.ones_like(real)) +
                F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake)))
    if loss == "least_squares":
        return 0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake ** 2).mean()
    if loss == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    return fake.mean() - real.mean()


def generator_loss(loss, fake):
    if loss == "bce":
        return F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
    if loss == "least_squares":
        return 0.5 * ((fake - 1) ** 2).mean()
    return -fake.mean()


def penalty(discriminator, x, y, shares):
    between = (shares[:, None] * x + (1 - shares[:, None]) * y).requires_grad_(True)
    slopes, = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
    return ((slopes.norm(2, dim=1) - 1) ** 2).mean()


def record(name, loss, activation, generator_norm, discriminator_norm, weight, optimizer):
    torch.manual_seed(len(name))
    features = torch.randn(ROWS, FEATURES)
    latent = torch.randn(STEPS, 2, BATCH, LATENT)
    shares = torch.rand(STEPS, BATCH)
    generator = network(LATENT, FEATURES, nn.ReLU, generator_norm)
    discriminator = network(FEATURES, 1, activation, discriminator_norm)
    both = [("generator", generator), ("discriminator", discriminator)]
    print("case", name)
    write("features", features)
    write("latent", latent)
    write("shares", shares)
    for prefix, model in both:
        for key, tensor in tensors(prefix, model):
            write("initial:" + key, tensor)
    of_generator = optimizer(generator.parameters())
    of_discriminator = optimizer(discriminator.parameters())
    losses, mains, generator_losses = [], [], []
    for step in range(STEPS):
        x = features[torch.arange(BATCH) + step * BATCH % ROWS]
        keep_statistics(generator, True)
        keep_statistics(discriminator, False)
        y = generator(latent[step, 0]).detach()
        of_discriminator.zero_grad()
        main = discriminator_loss(loss, discriminator(x), discriminator(y))
        value = main
        if weight:
            value = main + weight * penalty(discriminator, x, y, shares[step])
        value.backward()
        of_discriminator.step()
        keep_statistics(generator, False)
        keep_statistics(discriminator, True)
        of_generator.zero_grad()
        wanted = generator_loss(loss, discriminator(generator(latent[step, 1])))
        wanted.backward()
        of_generator.step()
        losses.append(value.detach())
        mains.append(main.detach())
        generator_losses.append(wanted.detach())
    write("losses", torch.stack(losses))
    write("main_losses", torch.stack(mains))
    write("generator_losses", torch.stack(generator_losses))
    for prefix, model in both:
        for key, tensor in tensors(prefix, model):
            write("final:" + key, tensor)


def adam(parameters):
    return torch.optim.Adam(parameters, 0.01, betas=(0.5, 0.9))


def momentum(parameters):
    return torch.optim.SGD(parameters, 0.05, 0.9)


def leaky():
    return nn.LeakyReLU(0.01)


# The names seed the cases. A gradient that comes near 0 would not do: Adam divides by its size, so
# that PyTorch's own float32 and float64 differ by more than a thousandth.
torch.set_num_threads(1)
record("dense_adam", "bce", leaky, nn.BatchNorm1d, None, 0, adam)
record("both_norms", "bce", leaky, nn.BatchNorm1d, nn.BatchNorm1d, 0, momentum)
record("least_squares", "least_squares", nn.Tanh, nn.BatchNorm1d, None, 0, momentum)
record("hinge", "hinge", leaky, None, None, 0, adam)
record("wasserstein_leaky", "wasserstein", leaky, nn.BatchNorm1d, None, 10, adam)
record("wasserstein_tanh", "wasserstein", nn.Tanh, None, None, 10, adam)
record("wasserstein_silu", "wasserstein", nn.SiLU, None, None, 3, adam)
record("wasserstein_layernorm", "wasserstein", nn.Tanh, None, nn.LayerNorm, 10, adam)
