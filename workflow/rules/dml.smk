# Deep metric learning: one job trains a cell for a block of seeds, one job attacks its models.


# `identity` and `code` are what the weights depend on; a comment or a sibling method is not among them.
rule dml_train:
    input:
        lambda w: prepared(w.dataset),
        imagenet=lambda w: imagenet(cell_of("dml", w)),
    output:
        model="results/dml/{dataset}/{architecture}/{model}/seeds-{block}/model.safetensors",
        tables=multiext(
            "results/dml/{dataset}/{architecture}/{model}/seeds-{block}/",
            "training.parquet",
            "spread.parquet",
        ),
    log:
        "logs/dml/{dataset}/{architecture}/{model}/seeds-{block}/train.log",
    benchmark:
        "logs/dml/{dataset}/{architecture}/{model}/seeds-{block}/train.benchmark.tsv"
    conda:
        ENVIRONMENT
    resources:
        gpu=lambda w: cell_of("dml", w).gpus,
    params:
        identity=lambda w: cell_of("dml", w).identity,
        code=lambda w: cell_of("dml", w).train_code(),
    message:
        "train {wildcards.model} on {wildcards.dataset}, seeds {wildcards.block}"
    shell:
        "gauntlet dml train --threads {threads}"
        " --cell dml/{wildcards.dataset}/{wildcards.architecture}/{wildcards.model}/seeds-{wildcards.block}"
        " > {log} 2>&1"


# All attacks on a cell's models in one job: starting a job costs seconds, loading a model none.
rule dml_attack:
    input:
        lambda w: prepared(w.dataset),
        model=rules.dml_train.output.model,
        needed=lambda w: needed(attack_of("dml", w), "attack"),
    output:
        multiext(
            "results/dml/{dataset}/{architecture}/{model}/seeds-{block}/attack-{attack}/",
            "scores.parquet",
            "examples.parquet",
            "projections.parquet",
            "sanity.parquet",
        ),
    log:
        "logs/dml/{dataset}/{architecture}/{model}/seeds-{block}/attack-{attack}.log",
    benchmark:
        "logs/dml/{dataset}/{architecture}/{model}/seeds-{block}/attack-{attack}.benchmark.tsv"
    conda:
        ENVIRONMENT
    params:
        evaluate=lambda w: attack_of("dml", w).evaluate,
        code=lambda w: attack_of("dml", w).attack_code(),
    message:
        "attack {wildcards.model} on {wildcards.dataset}, seeds {wildcards.block}"
    shell:
        "gauntlet dml attack --threads {threads} --attack attack-{wildcards.attack}"
        " --cell dml/{wildcards.dataset}/{wildcards.architecture}/{wildcards.model}/seeds-{wildcards.block}"
        " > {log} 2>&1"
