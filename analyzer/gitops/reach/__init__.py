"""Which objects of a repository reach a cluster, and by which route.

One file per construct of a controller: Flux Kustomizations, Argo CD Applications, ApplicationSets,
ResourceSets, custom resources. Nothing is rendered here.
"""
