"""The networks, losses, optimizers and batches of benchmarks/engine, in PyTorch.

WORKLOADS maps the engine's names to them. Networks and losses are as a careful user writes them;
where there are two ways (GraphConvolutions), both are here, to be measured against each other.
"""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


# ------------------------------------------------------------------------------------- networks

def mlp(widths, activation):
    layers = []
    for wide, narrow in zip(widths, widths[1:]):
        layers += [nn.Linear(wide, narrow), activation()]
    return nn.Sequential(*layers[:-1])


def higgs():
    return mlp((28, 300, 300, 300, 300, 1), nn.Tanh)


def small():
    return mlp((30, 64, 64, 2), nn.ReLU)


def autoencoder():
    return mlp((784, 256, 64, 256, 784), nn.ReLU)


def lenet5():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                                          nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        return F.relu(y + self.shortcut(x), inplace=True)


class Resnet20(nn.Module):
    """Takes images with the channels last, and keeps them so."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16),
                                  nn.ReLU(inplace=True))
        self.blocks = nn.Sequential(*(
            ResidualBlock(inputs if k == 0 else outputs, outputs, stride if k == 0 else 1)
            for inputs, outputs, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2))
            for k in range(3)))
        self.head = nn.Linear(64, 10)
        self.to(memory_format=torch.channels_last)

    def forward(self, x):
        x = x.permute(0, 3, 1, 2)
        return self.head(self.blocks(self.stem(x)).mean(dim=(2, 3)))


class LstmClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(64, 256, batch_first=True)
        self.head = nn.Linear(256, 10)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def attend(self, q, k, v):
        if hasattr(F, "scaled_dot_product_attention"):
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)
        steps = q.shape[-2]  # torch 1
        mask = torch.full((steps, steps), -math.inf, device=q.device).triu(1)
        return torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]) + mask, dim=-1) @ v

    def forward(self, x):
        rows, steps, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(rows, steps, 3, self.heads, width // self.heads)
        y = self.attend(*qkv.permute(2, 0, 3, 1, 4).unbind(0))
        x = x + self.project(y.transpose(1, 2).reshape(rows, steps, width))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class CausalLanguageModel(nn.Module):
    def __init__(self, vocabulary=1000, width=256, steps=128):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(0.02 * torch.randn(steps, width))
        self.blocks = nn.Sequential(*(Block(width, 8) for _ in range(4)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)

    def forward(self, codes):
        return self.head(self.norm(self.blocks(self.tokens(codes) + self.positions)))


class VariationalAutoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = mlp((784, 256, 2 * 64), nn.ReLU)
        self.decoder = mlp((64, 256, 784), nn.ReLU)

    def forward(self, x):
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        code = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        return self.decoder(code), mean, log_variance


# torch.compile cannot trace sparse tensors; torch 1 has no torch.compiler.
untraced = getattr(getattr(torch, "compiler", None), "disable", lambda function: function)


class SymmetricProduct(torch.autograd.Function):
    """matrix @ x for a symmetric sparse matrix, which is its own transpose in the backward."""

    @staticmethod
    def forward(ctx, matrix, x):
        ctx.matrix = matrix
        return torch.sparse.mm(matrix, x)

    @staticmethod
    def backward(ctx, gradient):
        return None, torch.sparse.mm(ctx.matrix, gradient)


class GraphConvolutions(nn.Module):
    """Two graph convolutions over a graph as large as Cora; the input is which nodes to tell."""

    def __init__(self, form, nodes=2708, edges=5278, features=1433, hidden=16, classes=7):
        super().__init__()
        a, b = torch.randint(0, nodes, (2, edges))
        loops = torch.arange(nodes)
        sources, targets = torch.cat([a, b, loops]), torch.cat([b, a, loops])
        degree = torch.bincount(targets, minlength=nodes).float()
        weights = (degree[sources] * degree[targets]).rsqrt()
        if form == "csr":
            matrix = torch.sparse_coo_tensor(torch.stack([targets, sources]), weights,
                                             (nodes, nodes)).coalesce().to_sparse_csr()
            self.register_buffer("matrix", matrix, persistent=False)
            self.spread = self.spread_by_matrix
        else:
            self.register_buffer("sources", sources)
            self.register_buffer("targets", targets)
            self.register_buffer("weights", weights.unsqueeze(1))
            self.spread = self.spread_by_edge
        self.register_buffer("features", 0.05 * (torch.rand(nodes, features) < 0.0127).float())
        self.w1 = nn.Linear(features, hidden, bias=False)
        self.w2 = nn.Linear(hidden, classes, bias=False)
        self.b1, self.b2 = nn.Parameter(torch.zeros(hidden)), nn.Parameter(torch.zeros(classes))

    @untraced
    def spread_by_matrix(self, x):
        return SymmetricProduct.apply(self.matrix, x)

    def spread_by_edge(self, x):
        messages = x.index_select(0, self.sources) * self.weights
        return torch.zeros_like(x).index_add(0, self.targets, messages)

    def forward(self, rows):
        x = F.relu(self.spread(self.w1(self.features)) + self.b1)
        return (self.spread(self.w2(x)) + self.b2).index_select(0, rows)


# --------------------------------------------------------------------------------------- losses

def binary_cross_entropy(network, x, y):
    return F.binary_cross_entropy_with_logits(network(x).squeeze(1), y)


def cross_entropy(network, x, y):
    return F.cross_entropy(network(x), y)


def next_token(network, codes):
    return F.cross_entropy(network(codes[:, :-1]).flatten(0, 1), codes[:, 1:].flatten())


def reconstruction(network, x):
    return F.binary_cross_entropy_with_logits(network(x), x)


def evidence(network, x):
    logits, mean, log_variance = network(x)
    rebuilt = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    divergence = -0.5 * torch.sum(1 + log_variance - mean * mean - log_variance.exp())
    return (rebuilt + divergence) / x.shape[0]


# ----------------------------------------------------------------------------------------- data

def labelled(rows, *shape, classes):
    return torch.randn(rows, *shape), torch.randint(0, classes, (rows,))


def higgs_rows():
    x, y = labelled(200_000, 28, classes=2)
    return x, y.float()


def token_rows(rows=1024, steps=129, vocabulary=1000):
    start = torch.randint(0, vocabulary, (rows, 1))
    return ((start + 7 * torch.arange(steps) + torch.randint(0, 3, (rows, steps))) % vocabulary,)


def random_images():
    return (torch.rand(16_384, 784),)


def citation_rows():
    return torch.arange(140), torch.arange(140) % 7


# ------------------------------------------------------------------------------------ workloads

SGD, ADAM, ADAMW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
HIGGS_SGD = (SGD, {"lr": 0.01, "momentum": 0.9})
RESNET_SGD = (SGD, {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4})
PLAIN_ADAM = (ADAM, {"lr": 1e-3})
GRAPH_ADAM = (ADAM, {"lr": 1e-2, "weight_decay": 5e-4})
LANGUAGE_ADAMW = (ADAMW, {"lr": 3e-4, "weight_decay": 0.01})


class Workload:
    """What to run; one step counts as so many units. `network` may be several forms of one."""

    def __init__(self, network, data, loss, optimizer, batch, unit="samples", units=None):
        self.networks = network if isinstance(network, dict) else {"": network}
        self.data, self.loss, self.optimizer, self.batch = data, loss, optimizer, batch
        self.unit, self.units = unit, units or batch


def inference(batch):
    return Workload(higgs, lambda: labelled(4096, 28, classes=2)[:1], None, None, batch)


WORKLOADS = {
    "higgs-b100": Workload(higgs, higgs_rows, binary_cross_entropy, HIGGS_SGD, 100),
    "higgs-b1024": Workload(higgs, higgs_rows, binary_cross_entropy, HIGGS_SGD, 1024),
    "mlp-b32": Workload(small, lambda: labelled(4096, 30, classes=2), cross_entropy, PLAIN_ADAM,
                        32),
    "lenet-b64": Workload(lenet5, lambda: labelled(8192, 1, 28, 28, classes=10), cross_entropy,
                          PLAIN_ADAM, 64),
    "resnet20-b128": Workload(Resnet20, lambda: labelled(2048, 32, 32, 3, classes=10),
                              cross_entropy, RESNET_SGD, 128),
    "lstm-b64": Workload(LstmClassifier, lambda: labelled(2048, 64, 64, classes=10),
                         cross_entropy, PLAIN_ADAM, 64),
    "transformer-b16": Workload(CausalLanguageModel, token_rows, next_token, LANGUAGE_ADAMW, 16,
                                "tokens", 16 * 128),
    "autoencoder-b128": Workload(autoencoder, random_images, reconstruction, PLAIN_ADAM, 128),
    "vae-b128": Workload(VariationalAutoencoder, random_images, evidence, PLAIN_ADAM, 128),
    "gcn-cora": Workload({"csr": lambda: GraphConvolutions("csr"),
                          "edges": lambda: GraphConvolutions("edges")},
                         citation_rows, cross_entropy, GRAPH_ADAM, 140, "epochs", 1),
    "higgs-infer-b1": inference(1),
    "higgs-infer-b256": inference(256),
}
