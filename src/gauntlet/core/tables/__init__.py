"""The tables of measurements that jobs write and the report reads (docs/measurements.md).

Each file declares tables that one kind of job writes, so that a new table re-runs no other job.
"""
