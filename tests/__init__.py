"""The tests: the tree of the program once more, and helpers in `support`.

A package, since tf-keras-vis installs one of this name.
"""
