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
    conda:
        ENVIRONMENT
    message:
        "get dataset {wildcards.dataset}"
    shell:
        "gauntlet data fetch {wildcards.dataset} > {log:q} 2>&1"
