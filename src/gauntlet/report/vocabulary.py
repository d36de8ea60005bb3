"""Names as measured -> names as printed. A new metric, attack or dataset adds one line here.

A study names its settings and derived metrics itself (``Study.block_label``, ``Study.metric_label``).
"""

from __future__ import annotations

#: Scales in order of size, and what a reader must know about each.
SCALES = {
    "smoke": "smoke scale: a test of the pipeline, not a measurement",
    "mini": "mini scale: not the paper's numbers",
    "desk": "desk scale: not the paper's numbers",
    "paper": "paper scale",
}

#: Metrics that jobs measure. Scores lie in [0, 1], but for ranks, cosines and distances; of retrieval and
#: clustering higher is better for the defender, of a theft (from ``accuracy`` on) for the attacker.
#: A study adds those that it derives, in units of their own, under its key ``metrics``.
METRICS = {
    "recall@1": "R@1",
    "recall@2": "R@2",
    "recall@4": "R@4",
    "recall@8": "R@8",
    "r-precision": "R-precision",
    "map@r": "MAP@R",
    "nmi": "NMI",
    "ami": "AMI",
    "f1": "F1",
    "accuracy": "accuracy",
    "target_accuracy": "target's accuracy",
    "relative_accuracy": "accuracy relative to the target's",
    "agreement": "agreement with the target",
    "success": "attack success rate",
    "psnr": "PSNR (dB)",
    "best_psnr": "PSNR of the best image (dB)",
    "ssim": "SSIM",
    "lpips": "LPIPS",
    "mse": "mean squared error (pixel range 1)",
    "label_accuracy": "share of classes found",
    # Of federations: what clients exchange in a round, and what an attacker learns of their images.
    "train_accuracy": "accuracy on clients' images",
    "up_bytes": "bytes that clients send per round",
    "down_bytes": "bytes that clients receive per round",
    "epsilon": "privacy budget ε",
    "auc": "AUC",
    "best_accuracy": "attack accuracy, best threshold",
    "tpr_1": "TPR at 1% FPR",
    "tpr_0.1": "TPR at 0.1% FPR",
    "imputation": "accuracy of guessing from the class",
    "advantage": "advantage over guessing from the class",
    "untrained": "accuracy on an untrained network",
    "gain": "gain over an untrained network",
    "rank": "rank of the candidate (0 the top)",
    "cosine": "cosine with the target",
    "ers": "empirical robustness score",
    "class_distance": "distance between classes (0 to 2)",
    "distance": "mean distance (0 to 2)",
    "gradient_cosine": "cosine of input gradients",
    # What jobs measure of their own cost.
    "passes_per_image": "passes per training image",
    "seconds_per_epoch": "seconds per epoch",
    "iteration_seconds": "seconds per iteration and target",
}

#: Attacks; ``worst`` is the worst of them, per query for retrieval and per metric for clustering.
ATTACKS = {
    "clean": "clean",
    "shift": "shift",
    "centre": "centre",
    "margin": "margin",
    "joint_pair": "joint pair",
    "nearest_positive": "nearest positive",
    "nearest_positive_long": "nearest positive, 50 steps",
    "nearest_positive_adam": "nearest positive, Adam",
    "nearest_positive_cw": "nearest positive, C&W",
    "nearest_positive_fgsm": "nearest positive, FGSM",
    "nearest_positive_l2": "nearest positive, L2",
    "nearest_positive_square": "nearest positive, queries only",
    "other_centre": "other centre",
    "triplet": "triplet",
    "pal": "Proxy-Anchor",
    "gtm": "nearest negative",
    "gtt": "greedy top-1 translocation",
    "ca_plus": "CA+",
    "ca_minus": "CA-",
    "qa_plus": "QA+",
    "qa_minus": "QA-",
    "tma": "targeted mismatch",
    "fgsm": "FGSM",
    "bim": "BIM",
    "pgd": "PGD",
    "mim": "MIM",
    "cw": "C&W",
    "fgsm_targeted": "FGSM, targeted",
    "bim_targeted": "BIM, targeted",
    "pgd_targeted": "PGD, targeted",
    "cw_targeted": "C&W, targeted",
    "loss": "loss",
    "confidence": "confidence",
    "entropy": "entropy",
    "modified_entropy": "modified entropy",
    "gap": "gap",
    "gradient_norm": "gradient norm",
    "shadow": "shadow models",
    "lira_online": "LiRA",
    "lira_offline": "LiRA, offline",
    "rmia": "RMIA",
    "distilled_distance": "distance to released samples",
    "summed_loss": "loss summed over rounds",
    "update_cosine": "cosine with updates",
    "representation": "representation",
    "worst": "worst attack",
}

DATASETS = {
    "all": "all datasets",
    "fashion-mnist": "Fashion-MNIST",
    "digits": "digits",
    "mnist": "MNIST",
    "mnist-5k": "MNIST (5,000)",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "stl10": "STL-10",
    "svhn": "SVHN",
    "glyphs": "glyphs",
    "glyphs-fonts": "glyphs, other fonts",
    "omniglot-small": "Omniglot (small)",
    "omniglot": "Omniglot",
    "cub200": "CUB-200-2011",
    "cars196": "CARS196",
    "in-shop": "In-Shop",
    "sop": "SOP",
    "celeba": "CelebA",
    "lfw": "LFW",
    "imagenet-val": "ImageNet (validation)",
}

ARCHITECTURES = {
    "conv": "conv net",
    "resnet18": "ResNet-18",
    "mobilenet_v2": "MobileNetV2",
    "cnn2_bn": "2-conv net",
    "cnn3": "3-conv net",
    "cnn6_bn": "6-conv net",
    "lenet": "LeNet",
    "net3conv": "3-conv net",
    "net4conv": "4-conv net",
    "plain3conv": "plain 3-conv net",
    "convnet2": "ConvNet (2 blocks)",
    "convnet3": "ConvNet (3 blocks)",
    "vgg11_bn": "VGG-11",
    "vgg16_bn": "VGG-16",
    "resnet34": "ResNet-34",
    "resnet50": "ResNet-50",
    "bn_inception": "BN-Inception",
    "all": "each with its network",
}

#: Norms of budgets.
NORMS = {"linf": "L∞", "l2": "L2"}

#: Swept quantities, with their units, as axis labels; ``budget_axis`` adds the norm.
AXES = {
    "eps": "budget ε (pixel range 1)",
    "steps": "PGD steps",
    "fraction": "perturbed images (% of the test set)",
    "passes": "forward-backward passes per training image",
    "epoch": "epoch of the training",
}

#: Checks of the sanity suite: what each must show.
CHECKS = {
    "gradient": "the attack's gradient is the deployed network's",
    "more_steps": "more steps never help the defender",
    "bigger_eps": "a larger budget lowers the metric",
    "unbounded": "an unbounded attack succeeds",
    "transfer": "a transfer attack is not stronger than white-box",
    "random_noise": "random noise is not stronger than the attack",
}

#: Columns that locate a block of results; ``setting`` is empty where a study has only one.
BLOCK = ["dataset", "setting", "architecture"]

#: Columns that the gather step puts first.
CELL = [*BLOCK, "method"]


def attack_label(attack: str) -> str:
    return ATTACKS.get(attack, attack.replace("_", " "))


def check_label(check: str) -> str:
    """A check of the sanity suite in a word or two; ``CHECKS`` says what it must show."""
    return check.replace("_", " ")


def budget_axis(norm: str) -> str:
    """The axis label of a budget, in its norm where that is known."""
    label = NORMS.get(norm, norm)
    return AXES["eps"].replace("(", f"({label}, ") if label else AXES["eps"]


def scale_label(scale: str) -> str:
    return SCALES.get(scale, f"{scale} scale")
