"""torchattacks through the centre-logit wrapper, on the problem of ``benchmarks/problem.py``."""

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
net, steps = problem.wrapper(), settings["steps"]
linear = {"eps": problem.eps, "alpha": problem.step, "steps": steps}
attack = {
    "fgsm": lambda: torchattacks.FGSM(net, eps=problem.eps),
    "bim": lambda: torchattacks.BIM(net, **linear),
    "pgd": lambda: torchattacks.PGD(net, **linear, random_start=True),
    "mim": lambda: torchattacks.MIFGSM(net, **linear, decay=1.0),
    "cw": lambda: torchattacks.CW(net, c=1.0, kappa=0, steps=steps, lr=problem.rate),
}[settings["attack"]]()
print("ready", flush=True)
for _ in sys.stdin:
    synchronize(problem.images)
    started = time.perf_counter()
    adversarial = attack(problem.images, problem.labels)
    synchronize(adversarial)
    spent = time.perf_counter() - started
    print(json.dumps({"seconds": spent, "reached": problem.reached(adversarial)}), flush=True)
