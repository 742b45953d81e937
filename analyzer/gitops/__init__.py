"""From a recommendation to the place in Git that declares it, and back with a proof.

`index` says what a repository declares, `trace` ties live containers to it, `edit` changes the
text, `verify` and `render` prove the change, `pull_request` writes it down for people.
"""
