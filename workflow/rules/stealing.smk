# Model stealing: one job trains a cell's substitutes for a block of seeds, one job judges them.


# `identity` and `code` are what the weights depend on; a comment or a sibling method is not among them.
rule stealing_train:
    input:
        lambda w: prepared(w.dataset),
        needed=lambda w: needed(cell_of("stealing", w), "train"),
        natural=lambda w: natural(cell_of("stealing", w)),
    output:
        model="results/stealing/{dataset}/{architecture}/{model}/seeds-{block}/model.safetensors",
        progress="results/stealing/{dataset}/{architecture}/{model}/seeds-{block}/progress.parquet",
        answers="results/stealing/{dataset}/{architecture}/{model}/seeds-{block}/answers.parquet",
        samples="results/stealing/{dataset}/{architecture}/{model}/seeds-{block}/samples.parquet",
    log:
        "logs/stealing/{dataset}/{architecture}/{model}/seeds-{block}/train.log",
    benchmark:
        "logs/stealing/{dataset}/{architecture}/{model}/seeds-{block}/train.benchmark.tsv"
    conda:
        ENVIRONMENT
    params:
        identity=lambda w: cell_of("stealing", w).identity,
        code=lambda w: cell_of("stealing", w).train_code(),
    message:
        "steal by {wildcards.model} on {wildcards.dataset}, seeds {wildcards.block}"
    shell:
        "gauntlet stealing train --threads {threads}"
        " --cell stealing/{wildcards.dataset}/{wildcards.architecture}/{wildcards.model}/seeds-{wildcards.block}"
        " > {log} 2>&1"


# All attacks on a cell's models in one job: starting a job costs seconds, loading a model none.
rule stealing_attack:
    input:
        lambda w: prepared(w.dataset),
        needed=lambda w: needed(attack_of("stealing", w), "attack"),
        model=rules.stealing_train.output.model,
    output:
        multiext(
            "results/stealing/{dataset}/{architecture}/{model}/seeds-{block}/attack-{attack}/",
            "scores.parquet",
            "predictions.parquet",
        ),
    log:
        "logs/stealing/{dataset}/{architecture}/{model}/seeds-{block}/attack-{attack}.log",
    benchmark:
        "logs/stealing/{dataset}/{architecture}/{model}/seeds-{block}/attack-{attack}.benchmark.tsv"
    conda:
        ENVIRONMENT
    params:
        evaluate=lambda w: attack_of("stealing", w).evaluate,
        code=lambda w: attack_of("stealing", w).attack_code(),
    message:
        "judge the substitutes of {wildcards.model} on {wildcards.dataset}, seeds {wildcards.block}"
    shell:
        "gauntlet stealing attack --threads {threads} --attack attack-{wildcards.attack}"
        " --cell stealing/{wildcards.dataset}/{wildcards.architecture}/{wildcards.model}/seeds-{wildcards.block}"
        " > {log} 2>&1"
