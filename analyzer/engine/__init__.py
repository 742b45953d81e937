"""Where work is done: in this process, or on the workers of a Dask scheduler.

`address` says which scheduler is meant, `settings` how it is used, `task` is what a worker is given
and does, `workers` hands tasks out and takes back what came of them, and `held` lets workers keep
samples and answer about them. Dask itself is loaded where it is asked for. What the work is, those
say who have it: `pipeline.sharing` the reading of a cluster, `fleet.elsewhere` the runs of a fleet.
"""
