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
        localrule: True
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


# All figures of a study in one job, and all its tables in another: starting a job costs more than drawing one.
for study in [name for name in STUDIES if declared_in(name, "figures")]:

    rule:
        name:
            f"figures_{study.replace('-', '_')}"
        input:
            gathered,
        output:
            [
                report(
                    f"paper_figures/{{study}}/{name}.pdf",
                    category="{study}",
                    labels={"figure": name},
                )
                for name in declared_in(study, "figures")
            ],
            multiext("paper_figures/{study}/", *files_of(study, "figures", "png", "csv")),
        log:
            "logs/studies/{study}/figures.log",
        wildcard_constraints:
            study=study,
        localrule: True
        conda:
            ENVIRONMENT
        params:
            declared=lambda w: drawn(w.study, "figures"),
            code=lambda w: drawing_code(w.study, "figures"),
        message:
            "draw the figures of {wildcards.study}"
        shell:
            "gauntlet study figure {wildcards.study} > {log} 2>&1"


for study in [name for name in STUDIES if declared_in(name, "tables")]:

    rule:
        name:
            f"tables_{study.replace('-', '_')}"
        input:
            gathered,
        output:
            multiext("paper_figures/{study}/", *files_of(study, "tables", "csv", "md", "tex")),
        log:
            "logs/studies/{study}/tables.log",
        wildcard_constraints:
            study=study,
        localrule: True
        conda:
            ENVIRONMENT
        params:
            declared=lambda w: drawn(w.study, "tables"),
            code=lambda w: drawing_code(w.study, "tables"),
        message:
            "write the tables of {wildcards.study}"
        shell:
            "gauntlet study table {wildcards.study} > {log} 2>&1"
