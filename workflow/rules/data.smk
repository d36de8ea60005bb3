# Datasets: already there and verified, `dvc pull`, a package, or the published addresses, in this order.


# One dataset in prepared form; the command verifies every byte against the registry.
rule prepare:
    output:
        "{root}/{dataset}/dataset.json",
    log:
        "logs/data/{root}-{dataset}.log",
    wildcard_constraints:
        root="data|datasets",
    retries: 2
    localrule: True
    conda:
        ENVIRONMENT
    message:
        "get dataset {wildcards.dataset}"
    shell:
        "gauntlet data fetch {wildcards.dataset} > {log:q} 2>&1"


# A sheet of samples for the report, drawn when a set comes, or comes anew.
rule sheet:
    input:
        lambda w: prepared(w.dataset),
    output:
        "paper_figures/datasets/{dataset}.webp",
    log:
        "logs/data/sheet-{dataset}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        code=code_digest("gauntlet.data.sheet"),
    message:
        "draw samples of {wildcards.dataset}"
    shell:
        "gauntlet data sheet {wildcards.dataset} --out {output:q} > {log:q} 2>&1"


# ImageNet weights of one architecture, for networks that begin with them.
rule imagenet:
    output:
        "datasets/weights/{file}.safetensors",
    log:
        "logs/data/{file}.log",
    retries: 2
    localrule: True
    conda:
        ENVIRONMENT
    params:
        architecture=lambda w, output: WEIGHTS[output[0]],
    message:
        "get ImageNet weights {wildcards.file}"
    shell:
        "gauntlet models fetch {params.architecture} > {log:q} 2>&1"
