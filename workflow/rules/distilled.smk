# Federated learning by distilled data: one job trains a cell for a block of seeds and measures every round.


# `identity` and `code` are what the weights depend on; a comment or a sibling method is not among them.
rule distilled_train:
    input:
        lambda w: prepared(w.dataset),
    output:
        multiext(
            "results/distilled/{dataset}/{architecture}/{model}/seeds-{block}/",
            "model.safetensors",
            "training.parquet",
            "rounds.parquet",
            "clients.parquet",
            "exchange.parquet",
            "samples.parquet",
        ),
    log:
        "logs/distilled/{dataset}/{architecture}/{model}/seeds-{block}/train.log",
    benchmark:
        "logs/distilled/{dataset}/{architecture}/{model}/seeds-{block}/train.benchmark.tsv"
    conda:
        ENVIRONMENT
    params:
        identity=lambda w: cell_of("distilled", w).identity,
        code=lambda w: cell_of("distilled", w).train_code(),
    message:
        "train {wildcards.model} on {wildcards.dataset}, seeds {wildcards.block}"
    shell:
        "gauntlet distilled train --threads {threads}"
        " --cell distilled/{wildcards.dataset}/{wildcards.architecture}/{wildcards.model}/seeds-{wildcards.block}"
        " > {log} 2>&1"
