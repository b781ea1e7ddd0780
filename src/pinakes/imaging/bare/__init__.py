"""Copies of a picture that keep its pixels bit for bit, and nothing that tells who is shown: one module a format.

What may stay is listed, for each format; whatever is not on the list does not get into the copy, known or not.
"""
