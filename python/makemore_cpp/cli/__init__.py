"""The command line: its commands parse, call the library and print, and compute nothing.

It imports every other room.
"""
