"""foolbox's attacks through the centre-logit wrapper, on the problem of ``benchmarks/problem.py``."""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import foolbox
import torch
from benchmarks.problem import Problem, synchronize

settings = json.loads(sys.argv[1])
torch.set_num_threads(settings["threads"])
problem = Problem(settings["architecture"], settings["batch"], settings["device"])
steps = settings["steps"]
linear = {"abs_stepsize": problem.step, "steps": steps}
attack = {
    "fgsm": lambda: foolbox.attacks.LinfFastGradientAttack(),
    "bim": lambda: foolbox.attacks.LinfBasicIterativeAttack(**linear, random_start=False),
    "pgd": lambda: foolbox.attacks.LinfPGD(**linear, random_start=True),
    "cw": lambda: foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=1, steps=steps, stepsize=problem.rate, initial_const=1.0, abort_early=False
    ),
}[settings["attack"]]()
model = foolbox.PyTorchModel(problem.wrapper(), bounds=(0, 1), device=settings["device"])
wanted = foolbox.criteria.Misclassification(problem.labels)
budget = {} if settings["attack"] == "cw" else {"epsilon": problem.eps}
print("ready", flush=True)
for _ in sys.stdin:
    synchronize(problem.images)
    started = time.perf_counter()
    adversarial = attack.run(model, problem.images, wanted, **budget)
    synchronize(adversarial)
    spent = time.perf_counter() - started
    print(json.dumps({"seconds": spent, "reached": problem.reached(adversarial)}), flush=True)
