# Privacy of federations: nothing is trained here, one job attacks what a cell of another family has trained.


rule privacy_attack:
    input:
        lambda w: prepared(w.dataset),
        needed=lambda w: needed(attack_of("privacy", w), "attack"),
    output:
        multiext(
            "results/privacy/{dataset}/{architecture}/{model}/seeds-{block}/attack-{attack}/",
            "scores.parquet",
            "roc.parquet",
            "samples.parquet",
        ),
    log:
        "logs/privacy/{dataset}/{architecture}/{model}/seeds-{block}/attack-{attack}.log",
    benchmark:
        "logs/privacy/{dataset}/{architecture}/{model}/seeds-{block}/attack-{attack}.benchmark.tsv"
    conda:
        ENVIRONMENT
    params:
        identity=lambda w: attack_of("privacy", w).identity,
        evaluate=lambda w: attack_of("privacy", w).evaluate,
        code=lambda w: attack_of("privacy", w).attack_code(),
    message:
        "measure the privacy of {wildcards.model} on {wildcards.dataset}, seeds {wildcards.block}"
    shell:
        "gauntlet privacy attack --threads {threads} --attack attack-{wildcards.attack}"
        " --cell privacy/{wildcards.dataset}/{wildcards.architecture}/{wildcards.model}/seeds-{wildcards.block}"
        " > {log} 2>&1"
