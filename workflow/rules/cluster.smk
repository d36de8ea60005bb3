# Slurm alone: what is checked before the first job is submitted. `snakemake --profile slurm` comes here.
def before_slurm():
    """End what a killed run left in the queue, and ask Slurm about the jobs of this one."""
    from gauntlet.cluster import orphans, preflight
    from gauntlet.cluster.site import load_site, site_file

    try:
        orphans.cancel()
        requests = {
            job.rule.name: {**job.resources, "cpus_per_task": job.threads}
            for job in workflow.dag.needrun_jobs()
            if not job.is_local
        }
        preflight.check(requests, site_file(), PREPARED, nodes=load_site().check_nodes)
    except GauntletError as error:
        raise WorkflowError(str(error)) from None
