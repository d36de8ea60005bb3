"""breaching's Inverting Gradients on the clients of ``benchmarks/leak.py``, one after the other."""

import contextlib
import io
import json
import logging
import sys
import time
import types
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
import breaching
import torch
from benchmarks.leak import CLASSES, Leak

warnings.simplefilter("ignore")
settings = json.loads(sys.argv[1])
torch.set_num_threads(settings["threads"])
logging.disable(logging.INFO)
leak = Leak(**settings["leak"])
overrides = [
    f"optim.max_iterations={settings['iterations']}",
    f"optim.callback={10**9}",
    f"regularization.total_variation.scale={settings['tv']}",
]
with contextlib.redirect_stdout(io.StringIO()):
    config = breaching.get_attack_config("invertinggradients", overrides)
metadata = types.SimpleNamespace(modality="vision", shape=leak.shape, classes=CLASSES)


def attack(target: int) -> torch.Tensor:
    weights, update = leak.update(target)
    labels, local = leak.client(target)[1], None
    if settings["simulate"]:
        per_step = [rows for _ in range(leak.epochs) for rows in labels.split(leak.batch)]
        local = {"lr": leak.lr, "steps": leak.steps, "data_per_step": leak.batch, "labels": per_step}
    # As its clients share them: after minus before for local training, else a gradient.
    shared = [(-1 if local else 1) * value for value in update.values()]
    attacker = breaching.attacks.prepare_attack(leak.net(target), torch.nn.CrossEntropyLoss(), config)
    payload = {"parameters": list(weights.values()), "buffers": [], "metadata": metadata}
    about = {"num_data_points": leak.images, "labels": labels, "local_hyperparams": local}
    data = {"gradients": shared, "buffers": None, "metadata": about}
    found, _ = attacker.reconstruct([payload], [data], {})
    return found["data"].detach()


print("ready", flush=True)
for _ in sys.stdin:
    found, started = [], time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        for target in range(settings["targets"]):
            torch.manual_seed(target)
            found.append(attack(target))
    spent = (time.perf_counter() - started) / (settings["targets"] * settings["iterations"])
    print(json.dumps({"seconds": spent, "psnr": leak.psnr(found)}), flush=True)
