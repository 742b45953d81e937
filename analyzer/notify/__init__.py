"""Telling others of a run: its metrics to a server that keeps them, its verdict to people.

A run is done before anybody is told of it, so whatever fails here is said and changes no result.
"""
