# A study's measurements, and what is drawn from them. Figures and tables read one root: this
# machine's results, or (--config source=published) the measurements that git carries.


# One set of tables per study and scale, with a manifest of hashes; what `published/` is copied from. Which
# tables there are depends on the family.
for family in sorted({plan.study.family for plan in PLAN.studies.values()}):

    rule:
        name:
            f"gather_{family}"
        input:
            lambda w: gather_inputs(w.study, w.scale),
        output:
            multiext("results/studies/{study}/{scale}/", *gather_outputs(family)),
        log:
            "logs/studies/{study}/{scale}/gather.log",
        wildcard_constraints:
            study="|".join(studies_of(family)),
        conda:
            ENVIRONMENT
        params:
            cells=lambda w: gather_params(w.study),
            derived=lambda w: derived(w.study),
            code=lambda w: gather_code(w.study),
        message:
            "gather the measurements of {wildcards.study}"
        shell:
            "gauntlet study gather {wildcards.study} > {log} 2>&1"


rule figure:
    input:
        gathered,
    output:
        report(
            "paper_figures/{study}/{figure}.pdf",
            category="{study}",
            labels={"figure": "{figure}"},
        ),
        png="paper_figures/{study}/{figure}.png",
        csv="paper_figures/{study}/{figure}.csv",
    log:
        "logs/studies/{study}/{figure}.figure.log",
    wildcard_constraints:
        study=studies_with("figures"),
    conda:
        ENVIRONMENT
    params:
        declared=lambda w: drawn(w.study, "figures", w.figure),
        code=lambda w: drawing_code(w.study, "figures", w.figure),
    message:
        "draw {wildcards.study}/{wildcards.figure}"
    shell:
        "gauntlet study figure {wildcards.study} {wildcards.figure} > {log} 2>&1"


rule table:
    input:
        gathered,
    output:
        csv="paper_figures/{study}/{table}.csv",
        markdown="paper_figures/{study}/{table}.md",
        latex="paper_figures/{study}/{table}.tex",
    log:
        "logs/studies/{study}/{table}.table.log",
    wildcard_constraints:
        study=studies_with("tables"),
    conda:
        ENVIRONMENT
    params:
        declared=lambda w: drawn(w.study, "tables", w.table),
        code=lambda w: drawing_code(w.study, "tables", w.table),
    message:
        "write table {wildcards.study}/{wildcards.table}"
    shell:
        "gauntlet study table {wildcards.study} {wildcards.table} > {log} 2>&1"
