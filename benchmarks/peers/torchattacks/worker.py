"""torchattacks' PGD through the centre-logit wrapper, on the problem of ``benchmarks/problem.py``."""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import torch
import torchattacks
from benchmarks.problem import Problem, synchronize

settings = json.loads(sys.argv[1])
torch.set_num_threads(settings["threads"])
problem = Problem(settings["architecture"], settings["batch"], settings["device"])
attack = torchattacks.PGD(
    problem.wrapper(), eps=problem.eps, alpha=problem.step, steps=settings["steps"], random_start=True
)
print("ready", flush=True)
for _ in sys.stdin:
    synchronize(problem.images)
    started = time.perf_counter()
    adversarial = attack(problem.images, problem.labels)
    synchronize(adversarial)
    spent = time.perf_counter() - started
    print(json.dumps({"seconds": spent, "loss": problem.loss(adversarial)}), flush=True)
