# Shadow models of a federation: one job trains a cell's for a block of seeds. Cells of family privacy need them.


# `identity` and `code` are what the weights depend on; a comment or a sibling method is not among them.
rule shadows_train:
    input:
        lambda w: prepared(w.dataset),
    output:
        multiext(
            "results/shadows/{dataset}/{architecture}/{model}/seeds-{block}/",
            "model.safetensors",
            "training.parquet",
        ),
    log:
        "logs/shadows/{dataset}/{architecture}/{model}/seeds-{block}/train.log",
    benchmark:
        "logs/shadows/{dataset}/{architecture}/{model}/seeds-{block}/train.benchmark.tsv"
    conda:
        ENVIRONMENT
    params:
        identity=lambda w: cell_of("shadows", w).identity,
        code=lambda w: cell_of("shadows", w).train_code(),
    message:
        "train shadow models of {wildcards.model} on {wildcards.dataset}, seeds {wildcards.block}"
    shell:
        "gauntlet shadows train --threads {threads}"
        " --cell shadows/{wildcards.dataset}/{wildcards.architecture}/{wildcards.model}/seeds-{wildcards.block}"
        " > {log} 2>&1"
