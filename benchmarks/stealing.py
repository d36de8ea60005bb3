"""DFME end to end against the code that its authors published: same networks, batch and optimizers.

A step is an iteration of its algorithm 1: one update of the generator by an estimated gradient, five of the
substitute, 1792 queries. The published code is no package: name a checkout of
github.com/cake-lab/datafree-model-extraction with ``--dfme``. Without one, the loop is written out (``bare
loop``): what any implementation has to compute.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

from benchmarks import timing
from benchmarks.peers import HERE, ROOT, Worker
from benchmarks.problem import synchronize
from benchmarks.theft import CASES, LATENT, Pair
from gauntlet.blackbox.oracle import Oracle
from gauntlet.stealing.base import Setting
from gauntlet.stealing.dfme import Dfme

BATCH, S_STEPS, EPS = 256, 5, 1e-3
QUERIES = BATCH * (2 + S_STEPS)


class Ours:
    """The method behind its oracle, as a theft runs it."""

    def __init__(self, pair: Pair):
        oracle = Oracle(pair.target, access="logits", classes=10, shape=pair.shape)
        self.method = Dfme(batch=BATCH, s_steps=S_STEPS, eps=EPS, decay_at=[])
        setting = Setting(
            oracle=oracle,
            substitute=pair.substitute,
            generator=lambda: pair.generator,
            latent=LATENT,
            seed=0,
            device=torch.device(pair.device),
        )
        self.method.begin(setting)

    def step(self) -> None:
        self.method.step()


class Bare:
    """The arithmetic of an iteration, with torch's own optimizers."""

    def __init__(self, pair: Pair):
        self.target, self.s, self.g, self.device = pair.target, pair.substitute, pair.generator, pair.device
        rates = {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}
        self.s_optimizer = torch.optim.SGD(self.s.parameters(), **rates)
        self.g_optimizer = torch.optim.Adam(self.g.parameters(), lr=1e-4)

    def step(self) -> None:
        before = self.g.outer(self.g.inner(self.noise()))
        with torch.no_grad():
            self.s.eval()
            u = F.normalize(torch.randn_like(before).flatten(1), dim=1).view_as(before)
            points = self.g.activation(torch.cat([before, before + EPS * u]))
            here, there = (self.s(points) - self.answers(points)).abs().mean(1).split(BATCH)
            self.s.train()
            gradient = u[0].numel() * ((there - here) / EPS).view(-1, 1, 1, 1) * u
        self.g_optimizer.zero_grad()
        before.backward(-gradient / (BATCH * 10))
        self.g_optimizer.step()
        for _ in range(S_STEPS):
            with torch.no_grad():
                x = self.g(self.noise())
                answers = self.answers(x)
            self.s_optimizer.zero_grad()
            F.l1_loss(self.s(x), answers).backward()
            self.s_optimizer.step()

    def answers(self, x: torch.Tensor) -> torch.Tensor:
        logs = self.target(x).log_softmax(1)
        return logs - logs.mean(1, keepdim=True)

    def noise(self) -> torch.Tensor:
        return torch.randn(BATCH, LATENT, device=self.device)


def compare(case: str, rounds: int, options) -> list[timing.Comparison]:
    ours_on, bare_on = (Pair(case, options.device) for _ in range(2))
    sides = {"gauntlet": (Ours(ours_on), ours_on), "bare loop": (Bare(bare_on), bare_on)}

    def play(name: str) -> None:
        program, pair = sides[name]
        program.step()
        synchronize(next(pair.substitute.parameters()))

    programs = {name: lambda name=name: play(name) for name in sides}
    worker = None
    if options.dfme:
        settings = {
            "case": case,
            "device": options.device,
            "threads": options.threads,
            "checkout": str(options.dfme.resolve()),
        }
        command = [sys.executable, str(HERE / "peers" / "dfme" / "worker.py"), json.dumps(settings)]
        worker = Worker(command, cwd=ROOT)
        programs["published code"] = lambda: worker.ask("step")["seconds"]
    seconds = timing.interleave(programs, rounds)
    if worker:
        worker.close()
    ours = statistics.median(seconds["gauntlet"])
    note = f"{case}: {QUERIES / ours:.0f} queries per second, {1e6 * ours / QUERIES:.0f} s per million"
    return [
        timing.Comparison(f"DFME, {case}", "gauntlet", peer, seconds["gauntlet"], seconds[peer], note)
        for peer in programs
        if peer != "gauntlet"
    ]


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--dfme", type=Path, help="a checkout of the published code")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--large", action="store_true", help="with the paper's pair as well (a GPU's)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cases = CASES if options.large else Pair.small
    rows = [row for case in cases for row in compare(case, options.rounds or 9, options)]
    timing.report("stealing", rows, options)


if __name__ == "__main__":
    main()
