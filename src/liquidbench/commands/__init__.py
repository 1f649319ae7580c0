"""The commands of `liquidbench`, a module for those that belong together.

Modules are imported where a command needs them, so help, ``list`` and ``report`` never load torch.
"""
