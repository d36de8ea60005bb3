# Federated learning: one job trains a cell for a block of seeds and measures every round.


# `identity` and `code` are what the weights depend on; a comment or a sibling method is not among them.
rule federated_train:
    input:
        lambda w: prepared(w.dataset),
    output:
        multiext(
            "results/federated/{dataset}/{architecture}/{model}/seeds-{block}/",
            "model.safetensors",
            "training.parquet",
            "rounds.parquet",
            "picks.parquet",
            "clients.parquet",
            "exchange.parquet",
        ),
    log:
        "logs/federated/{dataset}/{architecture}/{model}/seeds-{block}/train.log",
    benchmark:
        "logs/federated/{dataset}/{architecture}/{model}/seeds-{block}/train.benchmark.tsv"
    conda:
        ENVIRONMENT
    params:
        identity=lambda w: cell_of("federated", w).identity,
        code=lambda w: cell_of("federated", w).train_code(),
    message:
        "train {wildcards.model} on {wildcards.dataset}, seeds {wildcards.block}"
    shell:
        "gauntlet federated train --threads {threads}"
        " --cell federated/{wildcards.dataset}/{wildcards.architecture}/{wildcards.model}/seeds-{wildcards.block}"
        " > {log} 2>&1"
