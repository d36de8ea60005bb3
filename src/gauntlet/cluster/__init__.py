"""Running on Slurm: what a site has, whether Slurm takes our jobs, and whether its nodes see what we see."""
