"""Planted models of known answer: how often does each claim find what is there, and what is not?"""
