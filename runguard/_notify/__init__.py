"""Alerts reach people: routes, messages, channels, and the round that sends.

A job loads none of it.
"""
