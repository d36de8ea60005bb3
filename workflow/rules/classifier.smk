# Classifiers: one job trains a cell for a block of seeds, one job attacks its models.


# `identity` and `code` are what the weights depend on; a comment or a sibling method is not among them.
rule classifier_train:
    input:
        lambda w: prepared(w.dataset),
    output:
        model="results/classifier/{dataset}/{architecture}/{model}/seeds-{block}/model.safetensors",
        curve="results/classifier/{dataset}/{architecture}/{model}/seeds-{block}/training.parquet",
    log:
        "logs/classifier/{dataset}/{architecture}/{model}/seeds-{block}/train.log",
    benchmark:
        "logs/classifier/{dataset}/{architecture}/{model}/seeds-{block}/train.benchmark.tsv"
    conda:
        ENVIRONMENT
    params:
        identity=lambda w: cell_of("classifier", w).identity,
        code=lambda w: cell_of("classifier", w).train_code(),
    message:
        "train {wildcards.model} on {wildcards.dataset}, seeds {wildcards.block}"
    shell:
        "gauntlet classifier train --threads {threads}"
        " --cell classifier/{wildcards.dataset}/{wildcards.architecture}/{wildcards.model}/seeds-{wildcards.block}"
        " > {log} 2>&1"


# All attacks on a cell's models in one job: starting a job costs seconds, loading a model none.
rule classifier_attack:
    input:
        lambda w: prepared(w.dataset),
        model=rules.classifier_train.output.model,
    output:
        multiext(
            "results/classifier/{dataset}/{architecture}/{model}/seeds-{block}/attack-{attack}/",
            "scores.parquet",
            "predictions.parquet",
            "sanity.parquet",
        ),
    log:
        "logs/classifier/{dataset}/{architecture}/{model}/seeds-{block}/attack-{attack}.log",
    benchmark:
        "logs/classifier/{dataset}/{architecture}/{model}/seeds-{block}/attack-{attack}.benchmark.tsv"
    conda:
        ENVIRONMENT
    params:
        evaluate=lambda w: attack_of("classifier", w).evaluate,
        code=lambda w: attack_of("classifier", w).attack_code(),
    message:
        "attack {wildcards.model} on {wildcards.dataset}, seeds {wildcards.block}"
    shell:
        "gauntlet classifier attack --threads {threads} --attack attack-{wildcards.attack}"
        " --cell classifier/{wildcards.dataset}/{wildcards.architecture}/{wildcards.model}/seeds-{wildcards.block}"
        " > {log} 2>&1"
