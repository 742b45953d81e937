"""Where work is done: in this process, or on the workers of a Dask scheduler.

`address` says which scheduler is meant, `task` is what a worker is given and does, `workers` hands
tasks out and takes their results back. Dask itself is loaded by `workers` alone, once it is asked
for. What the work is, those say who have it: the reading of a cluster, the runs of a fleet.
"""
