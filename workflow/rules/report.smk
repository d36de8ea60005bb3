# The judged end: claims, the tracker's copy, and the report.


rule claims:
    input:
        [f"{PLAN.root(study)}/manifest.json" for study in STUDIES],
    output:
        "paper_figures/claims.json",
    log:
        "logs/claims.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        declared={study: declared(study) for study in STUDIES},
        code=code_digest("gauntlet.report.claims.board"),
    message:
        "judge the claims"
    shell:
        "gauntlet claims > {log} 2>&1"


# Jobs never talk to MLflow: this rule copies their files into it, and may be run at any time.
rule track:
    input:
        [f"{plan.results}/manifest.json" for plan in PLAN.studies.values()],
        rules.claims.output,
        FIGURES,
        TABLES,
    output:
        f"results/tracking/{PLAN.scale.scale}.json",
    log:
        "logs/track.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        code=code_digest("gauntlet.report.tracking"),
    message:
        "copy the measurements into MLflow"
    shell:
        "gauntlet track --out {output} > {log} 2>&1"


rule report:
    input:
        rules.claims.output,
        FIGURES,
        TABLES,
        SHEETS,
        [f"{PLAN.root(study)}/manifest.json" for study in STUDIES],
        [path / "manifest.json" for plan in PLAN.studies.values() for path in plan.references()],
        sorted(Path("src/gauntlet/report/templates").glob("*")),
    output:
        "paper_figures/index.html",
    log:
        "logs/report.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        declared={study: declared(study) for study in STUDIES},
        code=code_digest("gauntlet.report.html", methods=table_methods()),
        spent=code_digest("gauntlet.costs.against"),
    message:
        "write the report"
    shell:
        "gauntlet report > {log} 2>&1"
