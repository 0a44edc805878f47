"""Writes second-order.json: gradients of losses that read gradients, by PyTorch's autograd in float64.

    apt-get install python3-torch && python3 test/train/vectors/second-order.py    (1.13.1; any later one will do)

A ResNet-8 of 4, 8 and 16 channels, four pictures of 16 x 16, five classes. All numbers come from xorshift32, seeded
with the CRC-32 of what they are called, so that the test makes the same ones. Of each weight's gradient the file has
the largest magnitude, the sum, and five values at equal distances; a picture alone would show nothing of the others.
"""

import itertools
import json
import pathlib
import zlib

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
N, CLASSES, SIZE = 4, 5, 16


def numbers(name, dims, scale=1.0, shift=0.0):
    state = zlib.crc32(name.encode()) | 1
    out = []
    for _ in range(int(np.prod(dims))):
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        out.append((state / 2**32 * 2 - 1) * scale + shift)
    return torch.tensor(np.array(out, np.float32).reshape(dims).astype(np.float64))


class Net:
    def __init__(self, batch_statistics):
        self.weights, self.state, self.batch_statistics, self.layers = {}, {}, batch_statistics, {}

    def weight(self, name, dims, scale, shift=0.0):
        if name not in self.weights:
            self.weights[name] = numbers(name, dims, scale, shift).requires_grad_()
        return self.weights[name]

    def unit(self, at, x, outputs, kernel, stride):
        w = self.weight(f"{at}/conv.weight", [outputs, x.shape[1], kernel, kernel], (2 / (x.shape[1] * kernel**2)) ** 0.5)
        y = F.conv2d(x, w, stride=stride, padding=(kernel - 1) // 2)
        scale = self.weight(f"{at}/norm.weight", [outputs], 0.5, 1.0)
        bias = self.weight(f"{at}/norm.bias", [outputs], 0.2)
        mean = self.state.setdefault(f"{at}/norm.mean", numbers(f"{at}/norm.mean", [outputs], 0.1))
        variance = self.state.setdefault(f"{at}/norm.variance", numbers(f"{at}/norm.variance", [outputs], 0.5, 1.0))
        return F.batch_norm(y, None if self.batch_statistics else mean, None if self.batch_statistics else variance,
                            scale, bias, training=self.batch_statistics, eps=1e-5)

    def __call__(self, x):
        x = F.relu(self.unit("stem", x, 4, 3, 1))
        for stage, channels in enumerate([4, 8, 16]):
            at, stride = f"stage{stage + 1}.0", 2 if stage else 1
            y = self.unit(f"{at}/2", F.relu(self.unit(f"{at}/1", x, channels, 3, stride)), channels, 3, 1)
            shortcut = self.unit(f"{at}/shortcut", x, channels, 1, stride) if stage else x
            x = F.relu(y + shortcut)
            self.layers[f"{at}/relu"] = x
        w = self.weight("classifier.weight", [CLASSES, 16], 0.35)
        return F.linear(x.mean((2, 3)), w, self.weight("classifier.bias", [CLASSES], 0.2))


def class_map(method, scores, labels, A):
    g = torch.autograd.grad((scores * labels).sum(), A, create_graph=True)[0]
    if method == "grad-cam":
        w = g.mean((2, 3), keepdim=True)
    else:  # Grad-CAM++ of exp(S), Eq. 10, 11 and 19, without e^S
        w = (F.relu(g) / (2 + g * A.sum((2, 3), keepdim=True))).sum((2, 3), keepdim=True)
    return F.relu((w * A).sum(1, keepdim=True))


def normalized(m, kind):
    axes = (1, 2, 3)
    if kind == "l2":
        return m / (m.square().sum(axes, keepdim=True) + 1e-12).sqrt()
    if kind == "max":
        return m / (m.amax(axes, keepdim=True) + 1e-8)
    if kind == "min-max":
        low, high = m.amin(axes, keepdim=True), m.amax(axes, keepdim=True)
        return (m - low) / (high - low + 1e-8)
    return m


images = numbers("image", [N, 3, SIZE, SIZE], 1.5)
labels = torch.eye(CLASSES, dtype=torch.float64)[[0, 2, 3, 1]]
teacher_scores = numbers("teacher scores", [N, CLASSES], 3.0)
layers = {"stage1.0/relu": 16, "stage2.0/relu": 8, "stage3.0/relu": 4}
teacher = {name: numbers(f"teacher map of {name}", [N, 1, s, s], 0.5, 0.5) for name, s in layers.items()}
allowed = {name: (numbers(f"allowed in {name}", [N, 1, s, s]) > 0).double() for name, s in layers.items()}


def summary(net, loss):
    gradients = torch.autograd.grad(loss, list(net.weights.values()), allow_unused=True)
    out = {}
    for (name, weight), g in zip(net.weights.items(), gradients):
        g = (torch.zeros_like(weight) if g is None else g).flatten()
        places = [k * (len(g) - 1) // 4 for k in range(5)]
        out[name] = [float(f"{v:.10g}") for v in [g.abs().max().item(), g.sum().item(), *g[places].tolist()]]
    return {"loss": loss.item(), "gradients": out}


def explanation(net, scores, layer, method, kind):
    own = normalized(class_map(method, scores, labels, net.layers[layer]), kind)
    return (own - normalized(teacher[layer], kind)).square().sum((1, 2, 3)).mean()


def terms(net, layer):
    """Every loss there is, each with its weight."""
    scores = net(images)
    A = net.layers[layer]
    log = F.log_softmax(scores, 1)
    smooth = -((0.9 * labels + 0.1 / CLASSES) * log).sum(1).mean()
    T = 4.0
    kd = T * T * F.kl_div(F.log_softmax(scores / T, 1), F.softmax(teacher_scores / T, 1), reduction="batchmean")
    q, t = normalized(A.square().sum(1, keepdim=True), "l2"), normalized(teacher[layer], "l2")
    attention = (q - t).square().sum((1, 2, 3)).mean()
    own = normalized(class_map("grad-cam++", scores, labels, A), "l2")
    cosine = 1 - (own * t).sum((1, 2, 3)).mean()
    reasons = (own * (1 - allowed[layer])).square().sum((1, 2, 3)).mean()
    binary = F.binary_cross_entropy_with_logits(scores, labels)
    return smooth + 0.5 * kd + 0.25 * attention + 0.75 * cosine + 1.5 * reasons + 0.3 * binary


cases = []
for layer, kind, method, batch in itertools.product(
    layers, ["l2", "raw", "max", "min-max"], ["grad-cam", "grad-cam++"], [True, False]
):
    net = Net(batch)
    scores = net(images)
    cases.append({"layer": layer, "normalization": kind, "method": method, "batchStatistics": batch,
                  **summary(net, explanation(net, scores, layer, method, kind))})

net = Net(True)
every = summary(net, terms(net, "stage2.0/relu"))

# Ten steps of Nesterov's momentum 0.9 at 0.05, weight decay 5e-4 on kernels and matrices: cross entropy + 2 explanation.
net = Net(True)
net(images)
optimizer = torch.optim.SGD(
    [{"params": [w for w in net.weights.values() if w.dim() > 1], "weight_decay": 5e-4},
     {"params": [w for w in net.weights.values() if w.dim() == 1], "weight_decay": 0.0}],
    lr=0.05, momentum=0.9, nesterov=True)
losses = []
for _ in range(10):
    scores = net(images)
    loss = -(labels * F.log_softmax(scores, 1)).sum(1).mean()
    loss = loss + 2 * explanation(net, scores, "stage3.0/relu", "grad-cam++", "l2")
    losses.append(loss.item())
    gradients = torch.autograd.grad(loss, list(net.weights.values()))
    for weight, gradient in zip(net.weights.values(), gradients):
        weight.grad = gradient
    optimizer.step()

# Running statistics after one step, momentum 0.9 in ONNX's sense; ONNX takes the variance over N, PyTorch over N - 1.
x = F.conv2d(images, numbers("stem/conv.weight", [4, 3, 3, 3], (2 / 27) ** 0.5), padding=1)
mean = 0.9 * net.state["stem/norm.mean"] + 0.1 * x.mean((0, 2, 3))
variance = 0.9 * net.state["stem/norm.variance"] + 0.1 * x.var((0, 2, 3), unbiased=False)

text = json.dumps({
    "origin": f"PyTorch {torch.__version__}, autograd in float64, by second-order.py",
    "statistics": {"mean": mean.tolist(), "variance": variance.tolist()},
    "losses": losses,
    "every": every,
    "cases": "CASES",
}, indent=1)
rows = ",\n".join(json.dumps(case) for case in cases)
pathlib.Path(__file__).with_suffix(".json").write_text(text.replace('"CASES"', f"[\n{rows}\n]") + "\n")
