"""Which objects of a repository reach a cluster, and by which route.

One file per construct of a controller: kustomizations, Flux Kustomizations, Applications, sets of
Applications, ResourceSets, HelmReleases, custom resources. `roots` is the way in: from a repository
and an entry to all that arrives, each object with its route. Nothing is rendered here.
"""
