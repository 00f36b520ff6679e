"""Triggers: does an agent load a skill when it should, and only then?"""
