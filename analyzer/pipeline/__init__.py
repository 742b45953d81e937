"""The named steps of a run, from a source to a folder of results.

`reading` asks the source, `method` is what decides besides usage, `decision` makes proposals,
`judgement` holds them against the past, `review` is all of that without files, `chart` draws, and
`run` does everything. Each is imported by its own name, so that nobody pays for the others.
"""
