"""YAML as text: trees, addresses, edits that touch only the located bytes, and their check.

Nothing here knows Kubernetes objects, controllers or repositories.
"""
