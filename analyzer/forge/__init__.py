"""Pull requests: opened, refreshed, left alone and closed, on the forge where the repository lives.

One file per forge behind one Protocol, and `forges` to choose among them. `cycle` decides what is
to happen, touching nothing; `delivery` carries it out, over `rest` and `remote`.
"""
