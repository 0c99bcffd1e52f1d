"""The command line: commands parse, call and print; there is no arithmetic.

It imports every other room.
"""
