"""A small theft on the digits; also a script that commits one, to be killed.

python toy_stealing.py DATA TARGET OUT STATE METHOD [SEED ...]
"""

import sys
from pathlib import Path

from gauntlet.core.config import parse
from gauntlet.families.stealing import settings, train

#: Options that make a method small.
POOL = {"pool": 100, "draws": 2, "warm_epochs": 2, "s_epochs": 3, "batch": 25}
SMALL = {
    "mega": POOL,
    "static_generator": POOL,
    "competing_generator": POOL,
    "noise": {"pool": 200, "batch": 50, "epochs": 2},
    "dast": {"batch": 50},
    "dfme": {"batch": 20},
    "maze": {"batch": 10, "directions": 3, "replays": 2, "memory": 300},
    "tandem_gan": {"batch": 20},
    "knockoff": {"pool": 200, "epochs": 2},
}
#: What a method needs its answers to hold, where labels do not do.
ACCESS = {"dfme": "logits", "maze": "probabilities"}


def identity(method, access=None, options=None, data=None, **recipe):
    victim = {
        "classifier": "cnn2_bn",
        "data": {"per_class": 80},
        "train": {"epochs": 5, "batch": 32, "lr": 0.05},
    }
    found = {
        "family": "stealing",
        "dataset": "digits",
        "architecture": "net3conv",
        "data": {"target": victim, "test_per_class": 20, **(data or {})},
        "method": {
            "stealing": method,
            "access": access or ACCESS.get(method, "label"),
            "natural": "digits" if method == "knockoff" else None,
            "options": {**SMALL[method], **(options or {})},
        },
        "train": {"budget": 3000, "generator": "upsample", "latent": 16, "measure_every": 500, **recipe},
    }
    parts = {
        part: parse(getattr(settings, part.title()), found[part], file="x").model_dump(mode="json")
        for part in ("data", "method", "train")
    }
    return {**found, **parts}


if __name__ == "__main__":
    from gauntlet.core.devices import setup
    from moments import say

    data_folder, target, out, state, method, *seeds = sys.argv[1:]
    measure = train.Theft.measure

    def announced(self):
        measure(self)
        say(f"measured {self.seed} {self.oracle.queries}")

    train.Theft.measure = announced
    train.run(
        identity(method),
        [int(seed) for seed in seeds],
        Path(out),
        Path(state),
        setup("cpu"),
        Path(data_folder),
        every=0,
        target=Path(target),
    )
    if "torch._dynamo" in sys.modules:  # the compiler, seconds of start-up for nothing
        print("imported torch._dynamo")
