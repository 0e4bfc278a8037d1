#!/usr/bin/env python3
"""PyTorch on a GPU: the peer of benchmarks/engine, with the same networks and batches.

    torch_gpu.py [--workload NAME,...|all] [--seconds 1] [--repeats 5] [--warmup 0.3] [--threads N]
                 [--precision fp32|tf32] [--mode eager|compile|graphs] [--device cuda|cpu]

--mode eager runs operation by operation. compile: torch.compile(mode="reduce-overhead") for
forward and backward. graphs: the whole training step (forward, loss, backward, optimizer) is
captured by hand in one CUDA graph, once with the forward and backward of torch.compile and once
with plain operations; the faster counts, and "note" says what was tried, how fast each was and
what failed. Optimizers are fused ones where the version has them.

Rows lie in host memory; every batch is gathered by the epoch's permutation into pinned memory and
copied from there; the next one is gathered while the device works. The last line for a workload is

    {"workload", "mode", "precision", "throughput", "throughput_unread", "unit", "step_us", "torch",
     "device", "note", "check_loss"}

or {"workload", "error"}. "throughput" is the median of the repeats, in units per second, with the
loss read and found finite after each step; in "throughput_unread" it is read once per second.
Inference is the whole call, from rows in host memory to outputs in host memory (and has no
"throughput_unread"). "check_loss" is the loss, or the first output, of the 20th step.
"""

import argparse
import gc
import itertools
import json
import math
import statistics
import subprocess
import sys
import time

import torch
import torch.nn as nn

from torch_workloads import WORKLOADS

SEED = 1
CHECK_STEPS = 20
CAPTURE_WARMUP_STEPS = 5
PINNED_BATCHES = 16


# --------------------------------------------------------------------------------------- running

class Feed:
    """Batches of rows of `tensors`, in a new order each epoch, by way of pinned memory."""

    def __init__(self, tensors, batch, device):
        self.tensors, self.batch = tensors, batch
        self.on_gpu = device.type == "cuda"
        self.pinned = [[torch.empty((batch, *t.shape[1:]), dtype=t.dtype, pin_memory=self.on_gpu)
                        for t in tensors] for _ in range(PINNED_BATCHES)]
        self.copied = [torch.cuda.Event() for _ in self.pinned] if self.on_gpu else None
        self.inputs = [torch.zeros_like(t, device=device) for t in self.pinned[0]]
        self.rows = self.forever()
        self.gathered = self.sent = 0

    def forever(self):
        count = self.tensors[0].shape[0]
        random = torch.Generator().manual_seed(SEED)
        while True:
            order = torch.randperm(count, generator=random)
            for i in range(0, count - self.batch + 1, self.batch):
                yield order[i:i + self.batch]

    def gather(self):
        slot = self.gathered % PINNED_BATCHES
        if self.on_gpu:
            self.copied[slot].synchronize()  # what was there before has left
        rows = next(self.rows)
        for tensor, pinned in zip(self.tensors, self.pinned[slot]):
            torch.index_select(tensor, 0, rows, out=pinned)
        self.gathered += 1

    def send(self):
        if self.sent == self.gathered:
            self.gather()
        slot = self.sent % PINNED_BATCHES
        for target, pinned in zip(self.inputs, self.pinned[slot]):
            target.copy_(pinned, non_blocking=True)
        if self.on_gpu:
            self.copied[slot].record()
        self.sent += 1


def optimizer(kind, parameters, capturable):
    """The fastest implementation that this version of torch has."""
    make, settings = kind
    if capturable and make is not torch.optim.SGD:  # SGD counts no steps: always capturable
        settings = {**settings, "capturable": True}
    parameters = list(parameters)
    try:
        return make(parameters, fused=True, **settings)
    except (RuntimeError, TypeError):
        return make(parameters, foreach=True, **settings)


def compiled(module, options):
    mode = "reduce-overhead" if options.mode == "compile" else None
    return torch.compile(module, mode=mode, dynamic=False)


def captured(work, warm_up):
    """`work` as a CUDA graph: what replays it, and the tensor that it fills."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(CAPTURE_WARMUP_STEPS):
            warm_up()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    # On the stream of the warm-up: autograd runs backward on the stream that forward ran on.
    with torch.cuda.graph(graph, stream=stream):
        result = work()
    return graph, result


class Run:
    """A network on the device with its batches; `compile_it` and the mode say how it runs."""

    def __init__(self, workload, data, make_network, compile_it, options):
        self.feed = Feed(data, workload.batch, options.device)
        self.marks_steps = options.mode == "compile"
        torch.manual_seed(SEED)
        self.make(workload, make_network().to(options.device), compile_it, options)
        self.steps = 0
        self.execute = self.work
        if options.mode == "graphs":
            graph, result = captured(self.work, self.step)

            def replay():
                graph.replay()
                return result

            self.execute = replay

    def check(self):
        while self.steps < CHECK_STEPS:
            result = self.step()
        return self.read(result)

    def mark_step(self):
        if self.marks_steps:
            torch.compiler.cudagraph_mark_step_begin()


class WithLoss(nn.Module):
    def __init__(self, network, loss):
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, *batch):
        return self.loss(self.network, *batch)


class TrainingRun(Run):
    def make(self, workload, network, compile_it, options):
        self.loss = WithLoss(network, workload.loss).train()
        self.optimizer = optimizer(workload.optimizer, network.parameters(),
                                   capturable=options.mode == "graphs")
        self.run_loss = compiled(self.loss, options) if compile_it else self.loss

    def work(self):
        # Gradients are made anew, also in a capture, whose replays then overwrite them in place.
        self.optimizer.zero_grad(set_to_none=True)
        self.mark_step()
        loss = self.run_loss(*self.feed.inputs)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def step(self):
        self.feed.send()
        loss = self.execute()
        self.feed.gather()
        self.steps += 1
        return loss

    def read(self, loss):
        value = loss.item()
        if not math.isfinite(value):
            raise RuntimeError(f"the loss of step {self.steps} is {value}")
        return value


class InferenceRun(Run):
    def make(self, workload, network, compile_it, options):
        self.network = network.eval()
        self.forward = compiled(network, options) if compile_it else network
        self.outputs = torch.empty((workload.batch, 1), pin_memory=self.feed.on_gpu)

    def work(self):
        with torch.inference_mode():
            self.mark_step()
            return self.forward(*self.feed.inputs)

    def step(self):
        self.feed.send()
        with torch.inference_mode():
            self.outputs.copy_(self.execute(), non_blocking=True)
        self.steps += 1
        return self.outputs

    def read(self, outputs):
        if self.feed.on_gpu:
            torch.cuda.current_stream().synchronize()
        return outputs

    def check(self):
        return super().check()[0].item()


# ------------------------------------------------------------------------------------ measuring

def rate(run, seconds, read=True):
    """Steps per second; without `read`, the result is waited for once per second."""
    steps, start = 0, time.perf_counter()
    last_read = start
    while True:
        result = run.step()
        steps += 1
        now = time.perf_counter()
        over = now - start >= seconds
        if read or over or now - last_read >= 1:
            run.read(result)
            last_read = now
        if over:
            return steps / (time.perf_counter() - start)


def brief(error):
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def fastest(workload, options):
    """The fastest of the ways to run the workload, its check value, and what to note."""
    ways = {"eager": ["plain"], "compile": ["compiled"], "graphs": ["compiled", "plain"]}
    torch.manual_seed(SEED)
    data = workload.data()
    best, best_rate, check, notes = None, 0, None, []
    for (form, network), way in itertools.product(workload.networks.items(), ways[options.mode]):
        label = f"{form} {way}".strip()
        run = None
        try:
            make = TrainingRun if workload.loss else InferenceRun
            run = make(workload, data, network, way == "compiled", options)
            value = run.check()
            reached = rate(run, options.warmup)
            notes.append(f"{label} {1e6 / reached:.1f} us")
            if reached > best_rate:
                best, best_rate, check = run, reached, value
        except Exception as error:
            notes.append(f"{label} failed, {brief(error)}")
            if options.device.type == "cuda":
                # A failed capture leaves its own stream as the current one.
                torch.cuda.set_stream(torch.cuda.default_stream())
        del run
        gc.collect()
    if best is None:
        raise RuntimeError("; ".join(notes))
    return best, check, "; ".join(notes)


def measure(name, options):
    workload = WORKLOADS[name]
    if options.mode != "eager":
        torch._dynamo.reset()
    run, check, note = fastest(workload, options)
    read = statistics.median(rate(run, options.seconds) for _ in range(options.repeats))
    unread = None
    if isinstance(run, TrainingRun):
        unread = statistics.median(rate(run, options.seconds, read=False)
                                   for _ in range(options.repeats))
        unread = round(unread * workload.units, 1)
    on_gpu = options.device.type == "cuda"
    return {"workload": name, "mode": options.mode, "precision": options.precision,
            "throughput": round(read * workload.units, 1), "throughput_unread": unread,
            "unit": workload.unit, "step_us": round(1e6 / read, 2), "torch": torch.__version__,
            "device": torch.cuda.get_device_name() if on_gpu else "cpu", "note": note,
            "check_loss": round(check, 6)}


def set_precision(precision):
    tf32 = precision == "tf32"
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True


def device_works(device):
    try:
        return torch.ones(1, device=device).add_(1).item() == 2
    except Exception:
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workload", default="all", help=", ".join(WORKLOADS))
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--warmup", type=float, default=0.3)
    parser.add_argument("--threads", type=int, help="of the host (torch's own choice)")
    parser.add_argument("--precision", choices=["fp32", "tf32"], default="fp32")
    parser.add_argument("--mode", choices=["eager", "compile", "graphs"], default="eager")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    options = parser.parse_args()
    names = list(WORKLOADS) if options.workload == "all" else options.workload.split(",")
    if not set(names) <= set(WORKLOADS):
        parser.error(f"--workload: one of {', '.join(WORKLOADS)}")
    if options.mode == "graphs" and options.device != "cuda":
        parser.error("--mode graphs needs --device cuda")
    options.device = torch.device(options.device)
    if options.threads:
        torch.set_num_threads(options.threads)
    set_precision(options.precision)
    worked = device_works(options.device)
    failed = False
    for i, name in enumerate(names):
        try:
            line = measure(name, options)
        except Exception as error:
            line = {"workload": name, "error": brief(error)}
        print(json.dumps(line), flush=True)
        failed |= "error" in line
        rest = ",".join(names[i + 1:])
        if "error" in line and rest and worked and not device_works(options.device):
            # The error has broken this process's device for good; a new one goes on.
            subprocess.call([sys.executable, *sys.argv, "--workload", rest])
            break
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
