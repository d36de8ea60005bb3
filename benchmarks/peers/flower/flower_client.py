"""What a Flower client does: one epoch, in worker processes that keep the images between calls."""

import json
from functools import cache

import torch
from benchmarks.federation import Federation, optimizer, steps
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@cache
def federation(settings: str) -> Federation:
    return Federation(json.loads(settings))


@app.train()
def train(message, context):
    settings = message.content["config"]["settings"]
    torch.set_num_threads(json.loads(settings)["threads"])
    ours = federation(settings)
    batches = ours.batches(context.node_config["partition-id"])
    net = ours.net()
    net.load_state_dict(message.content["arrays"].to_torch_state_dict())
    steps(net, optimizer(net), ours.world.train, batches)
    metrics = MetricRecord({"num-examples": sum(map(len, batches))})
    content = RecordDict({"arrays": ArrayRecord(net.state_dict()), "metrics": metrics})
    return Message(content=content, reply_to=message)
