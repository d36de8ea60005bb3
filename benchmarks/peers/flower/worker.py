"""Flower's simulation, clients in Ray's workers, on the federation of ``benchmarks/federation.py``."""

import json
import logging
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
os.environ.update(
    FLWR_TELEMETRY_ENABLED="0",
    RAY_USAGE_STATS_ENABLED="0",
    RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",  # no warning about it
    RAY_worker_niceness="0",  # no side gives way to other programs
)

import torch
from benchmarks.federation import CLASSES, Federation
from flower_client import app
from flwr.app import ArrayRecord, ConfigRecord
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

from gauntlet.families.federated.evaluation import Evaluator

answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # whatever else is printed is no answer
settings = json.loads(sys.argv[1])
torch.set_num_threads(settings["threads"])
logging.getLogger("flwr").setLevel(logging.ERROR)
server = ServerApp()


@server.main()
def main(grid, context):
    """A round for every line read: what a strategy's own loop does, without its evaluation."""
    federation = Federation(settings)
    strategy = FedAvg(fraction_train=federation.selected / federation.clients, fraction_evaluate=0.0)
    net = federation.net()
    test = Evaluator(federation.net(), federation.world.test, CLASSES)
    arrays, config = ArrayRecord(net.state_dict()), ConfigRecord({"settings": json.dumps(settings)})
    print("ready", file=answers)
    for number, _ in enumerate(sys.stdin, 1):
        started = time.perf_counter()
        messages = strategy.configure_train(number, arrays, config, grid)
        replies = grid.send_and_receive(messages=messages, timeout=3600)
        arrays, _ = strategy.aggregate_train(number, replies)
        spent = time.perf_counter() - started
        for reply in replies:
            if reply.has_error():
                raise RuntimeError(reply.error.reason)
        accuracy = test(arrays.to_torch_state_dict()).accuracy[0]
        print(json.dumps({"seconds": spent, "accuracy": float(accuracy)}), file=answers)


run_simulation(
    server_app=server,
    client_app=app,
    num_supernodes=settings["clients"],
    backend_config={
        "init_args": {
            "num_cpus": settings["workers"],
            "log_to_driver": False,
            "logging_level": "ERROR",
            "_node_ip_address": "127.0.0.1",
        },
        "client_resources": {"num_cpus": 1},
    },
)
