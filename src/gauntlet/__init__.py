"""Gauntlet: re-run machine-learning security papers and judge their claims.

The package is built in floors; a module imports from its own floor or below:

    6  cli                       one thin command per step
    5  report                    tables, figures, claims, HTML, tracking
    4  families                  train and evaluate: compose what lies below
    3  attacks, defenses         one file per method
    2  data, models, metrics
    1  core                      errors, files, seeds, registry, configuration, resume, provenance
"""

__version__ = "0.1.0"
