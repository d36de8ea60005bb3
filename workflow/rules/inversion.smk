# Gradient inversion: one job simulates a cell's federations for a block of seeds and keeps what their server sees,
# one job attacks that.


# `identity` and `code` are what the updates depend on; a comment or a sibling method is not among them.
rule inversion_train:
    input:
        lambda w: prepared(w.dataset),
    output:
        model="results/inversion/{dataset}/{architecture}/{model}/seeds-{block}/model.safetensors",
        training="results/inversion/{dataset}/{architecture}/{model}/seeds-{block}/training.parquet",
        rounds="results/inversion/{dataset}/{architecture}/{model}/seeds-{block}/rounds.parquet",
        exchange="results/inversion/{dataset}/{architecture}/{model}/seeds-{block}/exchange.parquet",
    log:
        "logs/inversion/{dataset}/{architecture}/{model}/seeds-{block}/train.log",
    benchmark:
        "logs/inversion/{dataset}/{architecture}/{model}/seeds-{block}/train.benchmark.tsv"
    conda:
        ENVIRONMENT
    params:
        identity=lambda w: cell_of("inversion", w).identity,
        code=lambda w: cell_of("inversion", w).train_code(),
    message:
        "capture updates of {wildcards.model} on {wildcards.dataset}, seeds {wildcards.block}"
    shell:
        "gauntlet inversion train --threads {threads}"
        " --cell inversion/{wildcards.dataset}/{wildcards.architecture}/{wildcards.model}/seeds-{wildcards.block}"
        " > {log} 2>&1"


# All attacks on a cell's updates in one job: starting a job costs seconds, loading them none.
rule inversion_attack:
    input:
        lambda w: prepared(w.dataset),
        model=rules.inversion_train.output.model,
    output:
        multiext(
            "results/inversion/{dataset}/{architecture}/{model}/seeds-{block}/attack-{attack}/",
            "scores.parquet",
            "reconstructions.parquet",
            "pictures.parquet",
        ),
    log:
        "logs/inversion/{dataset}/{architecture}/{model}/seeds-{block}/attack-{attack}.log",
    benchmark:
        "logs/inversion/{dataset}/{architecture}/{model}/seeds-{block}/attack-{attack}.benchmark.tsv"
    conda:
        ENVIRONMENT
    params:
        evaluate=lambda w: attack_of("inversion", w).evaluate,
        code=lambda w: attack_of("inversion", w).attack_code(),
    message:
        "attack the updates of {wildcards.model} on {wildcards.dataset}, seeds {wildcards.block}"
    shell:
        "gauntlet inversion attack --threads {threads} --attack attack-{wildcards.attack}"
        " --cell inversion/{wildcards.dataset}/{wildcards.architecture}/{wildcards.model}/seeds-{wildcards.block}"
        " > {log} 2>&1"
