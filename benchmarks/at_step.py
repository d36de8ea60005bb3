"""A step of adversarial training, attack and update, by our training loop and written with torchattacks.

Both attack the Proxy-Anchor loss of the batch with PGD in eval mode, and update by AdamW with clipped
gradients, from the same weights, on the same batch. First both take one step without a random start: their
weights must agree. The timed steps go on from there, each side with random starts of its own.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from benchmarks import metric_training, timing
from benchmarks.peers import Peer
from benchmarks.problem import synchronize
from gauntlet.attacks.pgd import pgd
from gauntlet.defenses.embeddings.base import evaluating
from gauntlet.families.dml.train import Training

CASES = (("conv", 64, 7, 15), ("conv", 256, 7, 7), ("resnet18", 16, 5, 3))
LARGE = (("conv", 1000, 7, 15), ("resnet18", 128, 7, 15))  # on a GPU
SMALL = (("conv", 16, 2, 2),)
#: How far two updates may be apart, in lengths of an update: PGD and Adam follow signs, and rounding decides
#: the sign of a gradient near 0.
AGREE = 0.05


def check(training: Training, batches) -> torch.Tensor:
    """Take one step without a random start; the images stay in the ball and the weights change."""
    seen = []

    def attack(objective, images, members, generator):
        setting = training.defense.setting
        budget = {"eps": setting.eps, "step": setting.step, "steps": setting.steps}
        with evaluating(members):
            seen.append(pgd(objective, images, **budget, start_eps=0.0, generator=generator))
        return seen[-1]

    before = metric_training.parameters(training.members[0])
    training.defense.attack = attack
    training.update(batches, 0)
    del training.defense.attack
    (adversarial,), images = seen, batches[0].images
    assert ((adversarial >= 0) & (adversarial <= 1)).all()
    assert (adversarial - images).abs().max() <= training.defense.setting.eps + 1e-6
    after = metric_training.parameters(training.members[0])
    assert not torch.equal(before, after), "the step did not change the weights"
    return after


def compare(architecture: str, batch: int, steps: int, rounds: int, options) -> timing.Comparison:
    training = metric_training.make("at", 1, architecture, batch, steps, options.device)
    batches = metric_training.first_batches(training)
    member, recipe = training.members[0], training.what.train
    with tempfile.TemporaryDirectory() as folder:
        begin, end = Path(folder) / "begin.pt", Path(folder) / "end.pt"
        state = {"net": member.net.state_dict(), "proxies": member.proxies.detach()}
        torch.save({**state, "images": batches[0].images, "labels": batches[0].labels}, begin)
        settings = {
            **{"architecture": architecture, "device": options.device, "threads": options.threads},
            **{name: getattr(recipe, name) for name in ("embedding", "lr", "proxy_lr", "clip")},
            **{"eps": recipe.eps, "step": recipe.step, "steps": steps, "begin": str(begin), "end": str(end)},
        }
        peer = Peer("torchattacks", settings, options.peer, script="at_step.py")
        before = metric_training.parameters(member)
        ours_after = check(training, batches)
        ours_loss, theirs_loss = float(training.progress.sums[0]), peer.ask("check")["loss"]
        saved = torch.load(end, map_location=options.device, weights_only=True)
    apart = metric_training.difference(before, ours_after, metric_training.vector(saved))
    assert apart < AGREE, f"the updates differ by {apart:.3f} of their length"

    def ours() -> None:
        training.update(batches, 0)
        synchronize(member.proxies)

    seconds = timing.interleave({"ours": ours, "theirs": lambda: peer.ask("step")["seconds"]}, rounds)
    peer.close()
    what = f"{architecture}, batch {batch}, PGD-{steps}"
    return timing.Comparison(
        what,
        "gauntlet, at",
        "torchattacks and torch",
        seconds["ours"],
        seconds["theirs"],
        f"{what}: a step without a random start has the loss {ours_loss:.4f} (ours), {theirs_loss:.4f} "
        f"(theirs); the updates differ by {apart:.1e} of their length",
    )


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--peer", type=Path, help="a checkout of torchattacks")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to see that it works")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cases = SMALL if options.small else CASES if options.device == "cpu" else CASES[:1] + LARGE
    rows = [
        compare(architecture, batch, steps, options.rounds or rounds, options)
        for architecture, batch, steps, rounds in cases
    ]
    timing.report("at_step", rows, options)


if __name__ == "__main__":
    main()
