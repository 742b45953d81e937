"""What a repository declares, and how a change lands in it: five rooms, each on the ones before.

``text`` knows YAML as text, ``reach`` what the controllers apply, ``render`` what is built of it,
``index`` which place decides for which container, ``land`` edits, proves and proposes.
"""
